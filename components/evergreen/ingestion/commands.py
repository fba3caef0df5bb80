"""The ingestion command, ``evergreen windows``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Home, LedgerUri, ModelName, ledger_store


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(windows)


def windows(
    model: ModelName,
    step: Annotated[str, typer.Option("--step", help="Step that ingested the windows.")] = "ingest_window",
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show the data windows that a model has seen, the gaps between them, and its watermark."""
    from rich.console import Console
    from rich.table import Table

    from evergreen.ingestion.event_time import iso_event_time
    from evergreen.ingestion.window_history import WindowHistory, compare_windows

    records = WindowHistory(ledger_store(ledger_uri, home), model, step).records()
    shown = []
    for index, record in enumerate(records):
        beside = compare_windows(record.window, records[:index], counted=None, rows_counted=0)
        shown.append({**record.manifest["window"], "rows": record.rows, "gap_days": (beside["gap"] or {}).get("days", 0.0), "run_id": record.run_id})
    watermark = iso_event_time(records[-1].window.end) if records else None
    if as_json:
        typer.echo(json.dumps({"model_name": model, "step": step, "watermark": watermark, "windows": shown}, ensure_ascii=False))
        return
    if not records:
        typer.echo(f"No windows of step {step!r} are recorded for model {model!r}.")
        return
    table = Table("start", "end", "rows", "gap before (days)", "run")
    for line in shown:
        table.add_row(str(line["start"]), str(line["end"]), f"{line['rows']:,}", f"{line['gap_days']:g}", str(line["run_id"]))
    Console().print(table)
    typer.echo(f"Watermark: {watermark}")
