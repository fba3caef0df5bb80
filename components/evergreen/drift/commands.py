"""The drift command, ``evergreen drift``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.data.json_values import plain
from evergreen.drift.settings import Detectors  # noqa: TC001 - Typer reads it at run time
from evergreen.settings.command_options import AsJson  # noqa: TC001 - Typer reads it at run time
from evergreen.settings.renamed_options import renamed_options

NO_VALUE = "-"

if TYPE_CHECKING:
    from evergreen.results.drift import DriftResult


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=renamed_options({"--ignore": "--exclude"}))(drift)


def drift(  # noqa: PLR0917 - Typer derives a command's arguments from the signature
    reference: Annotated[str, typer.Argument(help="Parquet or CSV file, folder or glob, or a stored profile; local, gs:// or s3://.", metavar="REFERENCE")],
    current: Annotated[str, typer.Argument(help="Parquet or CSV file, folder or glob; local, gs:// or s3://.", metavar="CURRENT")],
    detectors: Annotated[Detectors | None, typer.Option("--detectors", help="Drift detectors. Defaults to those in the settings.")] = None,
    config: Annotated[str, typer.Option("--config", help="Settings as inline YAML or JSON, or the location of a file.")] = "default",
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Column not to compare, such as the label or a key. Repeatable.")] = None,
    timestamp_column: Annotated[str, typer.Option("--timestamp-column", help="Event time column, to compare with the same season.")] = "",
    save_profile: Annotated[Path | None, typer.Option("--save-profile", help="File to save the reference's profile to.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="File to write the HTML report to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report whether two datasets differ, in which columns, and by how much.

    Exit status: 0 whether or not there is drift, 2 for invalid input.
    """
    from evergreen.drift.detection import detect
    from evergreen.drift.errors import DriftError
    from evergreen.drift.settings import DriftSettings
    from evergreen.ingestion.local_copy import local_copy
    from evergreen.settings.reading import read_settings

    settings = read_settings(config, DriftSettings, parameter="--config", error=DriftError)
    if detectors is not None:
        settings = replace(settings, detectors=detectors)
    with local_copy(reference) as reference_path, local_copy(current) as current_path:
        compared = detect(reference_path, current_path, settings=settings, timestamp_column=timestamp_column, ignored_columns=exclude or [])
        if save_profile is not None:
            # All of its rows, even if they were compared with one season only.
            _save_profile(reference_path, save_profile, ignored_columns=exclude or [], timestamp_column=timestamp_column)
    if html is not None:
        from evergreen.drift.report import drift_page

        html.write_text(drift_page(compared.result, settings, compared), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(plain(compared.result.to_json()), ensure_ascii=False))
    else:
        _print_result(compared.result)


def _save_profile(reference: str | Path, target: Path, *, ignored_columns: list[str], timestamp_column: str) -> None:
    from evergreen.drift.detection import profile_dataset
    from evergreen.drift.profile.file import is_profile, read_profile, write_profile

    stored = is_profile(reference)
    write_profile(read_profile(reference) if stored else profile_dataset(reference, ignored_columns=ignored_columns, timestamp_column=timestamp_column), target)


def _print_result(result: DriftResult) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(escape(result.sentence), style="bold")
    if result.compared_with:
        console.print(escape(f"Compared with {result.compared_with}."))
    table = Table()
    for heading in ("column", "drift", "corrected p", "reason"):
        table.add_column(heading, overflow="fold")
    for feature in result.features:
        p_value = feature.corrected.get("p_value")
        table.add_row(
            escape(feature.measured.name),
            feature.severity if feature.drift else NO_VALUE,
            NO_VALUE if p_value is None else f"{p_value:.2g}",
            escape(feature.reason),
        )
    console.print(table)
    console.print(escape(f"All features together: {result.multivariate.sentence}"))
    for name, reason in result.left_out.items():
        console.print(escape(f"Not compared: {name}: {reason}"))
