"""The deployment commands: ``evergreen rollback``, ``approve``, ``retire``, ``pull`` and ``copy``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Home, LedgerUri, ModelName, TrackingUri
from evergreen.settings.renamed_options import renamed_options

Targets = Annotated[str, typer.Option("--targets", help="Comma-separated serving targets. Defaults to the targets of the champion's promotion.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(rollback)
    app.command()(approve)
    app.command()(retire)
    app.command()(pull)
    app.command(cls=renamed_options({"--expect": "--expected-champion"}))(copy)


def person() -> str:
    """Return the name of the operating system user."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def rollback(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    reason: Annotated[str, typer.Option("--reason", help="The reason, recorded in the ledger.")],
    to_version: Annotated[str, typer.Option("--to", help="A previous champion. Defaults to the last good one.", metavar="VERSION")] = "previous",
    from_version: Annotated[str, typer.Option("--from", help="The bad version. Nothing happens if it is not the champion.", metavar="VERSION")] = "none",
    targets: Targets = "default",
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make the last good version the champion again, and prevent the bad one from being promoted again.

    Pass --from if the command may be sent twice: without it, a second call rolls back one more version.
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
        typer.echo(f"The champion is version {result.champion_after}; version {result.bad_version} will not be promoted again.")


def approve(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="The version waiting for approval.", metavar="VERSION")],
    by: Annotated[str, typer.Option("--by", help="Name of the approver.")],
    reason: Annotated[str, typer.Option("--reason", help="The reason, recorded in the ledger.")],
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Approve and promote a waiting version that passed the gate, unless another champion has been promoted since.

    The approval is signed with the key in $EVERGREEN_APPROVAL_KEY, if it is set.
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
    keep: Annotated[int, typer.Option("--keep", help="Number of newest versions to keep.")] = 10,
    older_than: Annotated[float, typer.Option("--older-than", help="Keep versions for this many days after their last use.", metavar="DAYS")] = 90.0,
    apply: Annotated[bool, typer.Option("--apply", help="Apply the changes. Without it, this is a dry run.")] = False,
    targets: Targets = "default",
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Archive versions by age, use and rank, but never the champion or the rollback target. A dry run unless --apply is given."""
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
    typer.echo(f"{count} versions retired." if apply else f"Dry run: {count} versions would be retired; nothing was changed. Add --apply to retire them.")


def pull(
    uri: Annotated[str, typer.Argument(help="Location of the published models, as in deployment_targets.", metavar="gs://BUCKET/PREFIX")],
    model: ModelName,
    target: Annotated[Path, typer.Argument(help="Local folder. Its link `current` points to the model.", metavar="FOLDER")],
    as_json: AsJson = False,
) -> None:
    """Download the published version of a model, verify every file, and switch to it atomically.

    Signatures are verified with the key in $EVERGREEN_PUBLISHING_KEY, if it is set.
    """
    from evergreen.deployment.pulling import pull as fetch

    result = fetch(uri, model, target)
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        done = "now points to" if result.changed else "already points to"
        signed = ", signature valid" if result.signed else ""
        typer.echo(f"{result.current} {done} version {result.version} of model {model!r}: {result.files} files, checksums valid{signed}.")


def copy(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="The version in this registry.", metavar="VERSION")],
    to_tracking_uri: Annotated[str, typer.Option("--to-tracking-uri", help="MLflow server to copy to.")],
    to_ledger_uri: Annotated[str, typer.Option("--to-ledger-uri", help="Folder or bucket of the ledger to copy to.")],
    reason: Annotated[str, typer.Option("--reason", help="The reason, recorded in the ledger copied to.")],
    expected_champion: Annotated[
        str, typer.Option("--expected-champion", help="The champion it must replace there; `none` for none. Defaults to any.", metavar="VERSION")
    ] = "current",
    targets: Annotated[str, typer.Option("--targets", help="Comma-separated serving targets there.")] = "registry",
    tracking_uri: TrackingUri = None,
    ledger_uri: LedgerUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Copy a promoted version to another registry, verify that every byte arrived, and promote it there."""
    from evergreen.deployment.copying import CopyRequest, Place, copy_version
    from evergreen.runs.local_home import LocalHome

    local = LocalHome(home)
    request = CopyRequest(model, version, reason, person(), expected_champion, targets)
    here = Place(tracking_uri or local.tracking_uri, ledger_uri or local.ledger_uri)
    result = copy_version(request, here, Place(to_tracking_uri, to_ledger_uri))
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        typer.echo(f"Copied version {version} of model {model!r} as version {result.version_there}: {result.files} files, identical bytes.")
        done = "Promoted there" if result.outcome == "promoted" else "It is already the champion there"
        typer.echo(f"{done}, replacing {result.champion_before} (ledger record {result.ledger_record}).")
