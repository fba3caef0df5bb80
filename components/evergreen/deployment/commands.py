"""Deployment's commands: ``evergreen rollback``, ``approve``, ``retire``, ``pull`` and ``copy``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Home, LedgerUri, ModelName, TrackingUri

Targets = Annotated[str, typer.Option("--targets", help="Where the model is served, separated by commas; `default` is where the champion was promoted to.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(rollback)
    app.command()(approve)
    app.command()(retire)
    app.command()(pull)
    app.command()(copy)


def person() -> str:
    """Return who sits at this terminal, as the operating system knows them."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def rollback(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger.")],
    to_version: Annotated[str, typer.Option("--to", help="A former champion.", metavar="VERSION")] = "previous",
    from_version: Annotated[str, typer.Option("--from", help="The bad version; nothing is done when it is not the champion.", metavar="VERSION")] = "none",
    targets: Targets = "default",
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make the last good version the champion again, and see that the bad one is not promoted again.

    Give --from where the command may be sent twice: without it, a second one goes back one version more.
    """
    from evergreen.deployment.rollback import RollbackRequest, roll_back
    from evergreen.runs.local_home import LocalHome

    local = LocalHome(home)
    request = RollbackRequest(model, reason, to_version, from_version, targets, actor=person(), step_name="evergreen rollback")
    result = roll_back(request, tracking_uri=tracking_uri or local.tracking_uri, ledger_uri=ledger_uri or local.ledger_uri)
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        typer.echo(f"{result.outcome[0].upper()}{result.outcome[1:]}: {result.sentence} (ledger record {result.ledger_record}).")
        typer.echo(f"The champion is version {result.champion_after}; version {result.bad_version} is not promoted again.")


def approve(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="The version that waits.", metavar="VERSION")],
    by: Annotated[str, typer.Option("--by", help="Who approves it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger.")],
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Approve a version that passed the gate and waits, and promote it, unless another champion was promoted since.

    The approval is signed with the key in EVERGREEN_APPROVAL_KEY, where it is set.
    """
    from evergreen.deployment.approval import ApprovalRequest
    from evergreen.deployment.approval import approve as record_approval
    from evergreen.runs.local_home import LocalHome

    local = LocalHome(home)
    request = ApprovalRequest(model, version, by, reason)
    result = record_approval(request, tracking_uri=tracking_uri or local.tracking_uri, ledger_uri=ledger_uri or local.ledger_uri)
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        kind = "Signed approval" if result.signed else "Approval"
        typer.echo(f"{kind} of version {version} by {result.by} recorded (ledger record {result.approval_record}).")
        typer.echo(f"Promoted: the champion is version {result.champion_after} (ledger record {result.ledger_record}).")


def retire(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    keep: Annotated[int, typer.Option("--keep", help="So many of the newest versions stay.")] = 10,
    older_than: Annotated[float, typer.Option("--older-than", help="Days for which a version stays after it was used last.", metavar="DAYS")] = 90.0,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is a dry run.")] = False,
    targets: Targets = "default",
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Archive versions by age, use and rank; never the champion, nor what a rollback goes back to. A dry run unless told otherwise."""
    from rich.console import Console
    from rich.table import Table

    from evergreen.deployment.retirement import RetirementPolicy
    from evergreen.deployment.retirement import retire as archive
    from evergreen.runs.local_home import LocalHome

    local = LocalHome(home)
    result = archive(
        model,
        RetirementPolicy(keep, older_than),
        targets=targets,
        actor=person(),
        tracking_uri=tracking_uri or local.tracking_uri,
        ledger_uri=ledger_uri or local.ledger_uri,
        apply=apply,
    )
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
        return
    table = Table(title=f"Versions of {model}", title_justify="left")
    for heading in ("version", "unused for", "", "why"):
        table.add_column(heading)
    for verdict in result.verdicts:
        table.add_row(verdict.version, f"{verdict.unused_days:.0f} days", "retire" if verdict.retire else "keep", verdict.reason)
    Console().print(table)
    count = sum(verdict.retire for verdict in result.verdicts)
    typer.echo(f"{count} versions retired." if apply else f"Dry run: {count} versions would be retired; nothing was changed. Add --apply to do it.")


def pull(
    uri: Annotated[str, typer.Argument(help="Where models are published, as in deployment_targets.", metavar="gs://BUCKET/PREFIX")],
    model: ModelName,
    target: Annotated[Path, typer.Argument(help="Local folder; its link `current` leads to the model.", metavar="FOLDER")],
    as_json: AsJson = False,
) -> None:
    """Fetch the published version of a model, check every byte, and switch to it at once.

    Signatures are checked with the key in EVERGREEN_PUBLISHING_KEY, where it is set.
    """
    from evergreen.deployment.pulling import pull as fetch

    result = fetch(uri, model, target)
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        done = "now leads to" if result.changed else "leads already to"
        signed = ", signature good" if result.signed else ""
        typer.echo(f"{result.current} {done} version {result.version} of model {model!r}: {result.files} files, checksums good{signed}.")


def copy(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="The version here.", metavar="VERSION")],
    to_tracking_uri: Annotated[str, typer.Option("--to-tracking-uri", help="MLflow server that it is copied to.")],
    to_ledger_uri: Annotated[str, typer.Option("--to-ledger-uri", help="Folder or bucket of the ledger there.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger there.")],
    expected: Annotated[str, typer.Option("--expect", help="The champion there that it replaces; `none` for none.", metavar="VERSION")] = "current",
    targets: Annotated[str, typer.Option("--targets", help="Where it is served there, separated by commas.")] = "registry",
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Copy a version that was promoted here to another registry, check that every byte arrived, and promote it there."""
    from evergreen.deployment.copying import CopyRequest, Place, copy_version
    from evergreen.runs.local_home import LocalHome

    local = LocalHome(home)
    request = CopyRequest(model, version, reason, person(), expected, targets)
    here = Place(tracking_uri or local.tracking_uri, ledger_uri or local.ledger_uri)
    result = copy_version(request, here, Place(to_tracking_uri, to_ledger_uri))
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        typer.echo(f"Version {version} of model {model!r} is version {result.version_there} there: {result.files} files, the same bytes.")
        done = "Promoted there" if result.outcome == "promoted" else "It is the champion there already"
        typer.echo(f"{done}, instead of {result.champion_before} (ledger record {result.ledger_record}).")
