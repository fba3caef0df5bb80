"""The validation commands, ``evergreen validate`` and ``evergreen contract infer``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.settings.command_options import AsJson  # noqa: TC001  # Typer reads annotations when it registers the command
from evergreen.settings.renamed_options import renamed_options

if TYPE_CHECKING:
    from evergreen.validation.contract import Contract
    from evergreen.validation.findings import Finding
    from evergreen.validation.frame import LoadedData

Data = Annotated[str, typer.Argument(help="Parquet or CSV file, or a folder or glob of such files; local, gs:// or s3://.", metavar="DATA")]
TargetColumn = Annotated[str | None, typer.Option("--target-column", help="Name of the label column, which must exist.")]
TimestampColumn = Annotated[
    str | None, typer.Option("--timestamp-column", help="Name of the event time column, which must exist; in an inferred contract, no row may lack it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(cls=renamed_options({"--without": "--exclude"}))(validate)
    contracts = typer.Typer(help="Data contracts.", no_args_is_help=True)
    contracts.command("infer")(infer)
    app.add_typer(contracts, name="contract")


def infer(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="YAML file to write.")] = Path("contract.yaml"),
    timestamp_column: TimestampColumn = None,
) -> None:
    """Infer an initial contract from data, to be reviewed and corrected by a person."""
    from evergreen.ingestion.local_copy import local_copy
    from evergreen.settings.suggestions import did_you_mean
    from evergreen.validation.errors import ContractError
    from evergreen.validation.frame import load_data
    from evergreen.validation.inference import infer_contract, inference_comments

    with local_copy(data) as path:
        loaded = load_data(path)
    if timestamp_column is not None and timestamp_column not in loaded.kinds:
        raise ContractError(
            f"--timestamp-column {timestamp_column!r}: {data} has no such column. Valid columns: {', '.join(loaded.kinds)}."
            f"{did_you_mean(timestamp_column, loaded.kinds)}"
        )
    contract = infer_contract(loaded, timestamp_column=timestamp_column)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(contract.to_yaml(inference_comments(len(loaded.frame))), encoding="utf-8")
    typer.echo(f"Wrote {output}: {len(contract.columns)} columns, inferred from {len(loaded.frame):,} rows. Review it before use.")


def validate(  # noqa: PLR0917  # Typer passes options by name
    data: Data,
    contract: Annotated[str, typer.Option("--contract", help="Contract as a YAML file: a path, or a gs:// or s3:// URI.", metavar="FILE")],
    target_column: TargetColumn = None,
    timestamp_column: TimestampColumn = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Contract column that the data need not have, such as the label in serving requests. Repeatable.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="HTML report to write.", metavar="FILE")] = None,
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", help="Parquet file to write quarantined rows to, with the reasons.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check data or a batch of serving requests against a contract.

    Exit status: 0 if the data passed, 1 if it violates the contract, 2 for invalid input.
    """
    from evergreen.ingestion.local_copy import local_copy
    from evergreen.validation.contract import Contract
    from evergreen.validation.contract_choice import read_contract_text
    from evergreen.validation.findings import broken
    from evergreen.validation.frame import load_data
    from evergreen.validation.quarantine import split_rows
    from evergreen.validation.report import validation_page
    from evergreen.validation.step import check_data, write_table

    text = read_contract_text(contract)
    rules = _without(Contract.from_yaml(text, origin=f"contract {contract}"), exclude or [])
    with local_copy(data) as path:
        loaded = load_data(path)
    findings = check_data(loaded, rules, target_column=target_column, timestamp_column=timestamp_column)
    _, aside = split_rows(loaded.table, findings)
    if html:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(validation_page(findings, rules, text, origin="given", frame=loaded.frame), encoding="utf-8")
    if quarantine and aside.num_rows:
        write_table(quarantine, aside)
    if as_json:
        typer.echo(json.dumps(_as_json(findings, loaded, aside.num_rows), ensure_ascii=False))
    else:
        _print(findings, loaded, aside.num_rows)
    if broken(findings):
        raise typer.Exit(1)


def _without(contract: Contract, columns: list[str]) -> Contract:
    from evergreen.settings.suggestions import did_you_mean
    from evergreen.validation.errors import ContractError

    for name in columns:
        if name not in contract.columns:
            raise ContractError(
                f"--exclude {name!r}: the contract has no such column. Valid columns: {', '.join(contract.columns)}.{did_you_mean(name, contract.columns)}"
            )
    kept = {name: rules for name, rules in contract.columns.items() if name not in columns}
    return contract.model_copy(update={"columns": kept})


def _status(findings: list[Finding]) -> str:
    from evergreen.validation.findings import broken

    if broken(findings):
        return "broken"
    return "passed with warnings" if findings else "passed"


def _as_json(findings: list[Finding], loaded: LoadedData, quarantined: int) -> dict[str, object]:
    found = [finding.as_json() for finding in findings]
    return {"status": _status(findings), "rows": len(loaded.frame), "rows_quarantined": quarantined, "findings": found}


def _print(findings: list[Finding], loaded: LoadedData, quarantined: int) -> None:
    for finding in findings:
        typer.echo(f"{finding.severity:<10} {finding}")
    aside = f", {quarantined:,} quarantined" if quarantined else ""
    typer.echo(f"{_status(findings)}: {len(loaded.frame):,} rows{aside}")
