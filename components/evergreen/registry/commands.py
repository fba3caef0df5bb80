"""The registry's commands: ``evergreen history``, ``evergreen lineage`` and ``evergreen audit``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evergreen.data.json_values import plain
from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Home, LedgerUri, ModelName, TrackingUri, ledger_store


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(history)
    app.command()(lineage)
    audits = typer.Typer(help="Check a model's ledger, or gather all about a version.", no_args_is_help=True)
    audits.command("verify")(verify)
    audits.command("bundle")(bundle)
    app.add_typer(audits, name="audit")


def history(model: ModelName, ledger_uri: LedgerUri = None, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show a model's ledger: every promotion, rejection and decision to keep."""
    from rich.console import Console

    from evergreen.registry.display import print_history
    from evergreen.registry.ledger import Ledger

    records = Ledger(ledger_store(ledger_uri, home), model).records()
    if as_json:
        typer.echo(json.dumps(plain([asdict(record) for record in records]), ensure_ascii=False))
    elif records:
        print_history(Console(), model, records)
    else:
        typer.echo(f"The ledger holds nothing about model {model!r}.")


def lineage(  # noqa: PLR0917  # every option of a command is a parameter
    model: Annotated[str | None, typer.Argument(help="Name of the registered model; every model for a dataset.", metavar="[MODEL]")] = None,
    version: Annotated[str | None, typer.Option("--version", help="The version; the champion when not given.", metavar="VERSION")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Fingerprint, source or file: all versions that learned from it.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the graph to a file.", metavar="FILE.svg")] = None,
    ledger_uri: LedgerUri = None,
    tracking_uri: TrackingUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what a version came from, data, run and code; or with --dataset, which versions learned from that.

    Exit status: 0 when something was found, 1 when no version learned from the dataset, 2 for bad input.
    """
    from rich.console import Console

    from evergreen.registry.display import print_lineage
    from evergreen.registry.errors import RegistryError
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.lineage import lineage_of_dataset, lineage_of_version
    from evergreen.registry.lineage_graph import lineage_svg
    from evergreen.registry.versions import ModelRegistry, model_names
    from evergreen.runs.local_home import LocalHome

    store, server = ledger_store(ledger_uri, home), tracking_uri or LocalHome(home).tracking_uri
    if dataset is None and model is None:
        raise RegistryError("lineage: neither a model nor --dataset is given; expected one of them. Name the model, or the dataset.")
    if dataset is not None:
        if version is not None:
            raise RegistryError(f"lineage: --version {version} and --dataset {dataset} are both given; expected one of them. Leave one out.")
        names = [model] if model else model_names(server)
        models = [(ModelRegistry(server, name), Ledger(store, name)) for name in names]
        # Manifests of local files hold absolute paths.
        found = lineage_of_dataset(models, dataset) or lineage_of_dataset(models, str(Path(dataset).resolve()))
    else:
        found = [lineage_of_version(ModelRegistry(server, str(model)), Ledger(store, str(model)), version)]
    if svg is not None:
        svg.write_text(lineage_svg(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(plain([asdict(learned) for learned in found]), ensure_ascii=False))
    elif found:
        print_lineage(Console(), found)
    else:
        typer.echo(f"No version learned from {dataset}; expected a fingerprint, a source URI or a file's URI as the data's manifest states it.")
    if not found:
        raise typer.Exit(1)


def verify(model: ModelName, ledger_uri: LedgerUri = None, tracking_uri: TrackingUri = None, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Find every record of a model's ledger that was edited, removed, reordered, inserted or forked, and a tail that was cut off.

    Approvals are checked against the key in EVERGREEN_APPROVAL_KEY, where it is set.
    Exit status: 0 when the ledger is what was written, 1 when it is not, 2 for bad input.
    """
    from evergreen.registry.approval import approval_key
    from evergreen.registry.audit import audit
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.versions import ModelRegistry
    from evergreen.runs.local_home import LocalHome

    registry = ModelRegistry(tracking_uri or LocalHome(home).tracking_uri, model)
    found = audit(Ledger(ledger_store(ledger_uri, home), model), registry, approval_key=approval_key())
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
    elif found.problems:
        typer.echo(f"The ledger of model {model!r} is not what was written:\n" + "\n".join(f"  {problem}" for problem in found.problems))
    elif not found.records:
        typer.echo(f"The ledger holds nothing about model {model!r}, and the registry notes nothing.")
    else:
        noted = f"the registry notes record {found.noted_head.partition(':')[0]} as written" if found.noted_head else "the registry notes no head yet"
        typer.echo(f"The ledger of model {model!r} holds: {found.records} records in one chain, champion {found.champion}; {noted}.")
    if found.problems:
        raise typer.Exit(1)


def bundle(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="Version of the registered model.", metavar="VERSION")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write; MODEL-VERSION when not given.", metavar="FOLDER")] = None,
    ledger_uri: LedgerUri = None,
    tracking_uri: TrackingUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Gather model, data sample, contract, scores, ledger and run records of a version in one folder, with checksums."""
    from evergreen.registry.approval import approval_key
    from evergreen.registry.bundle import write_bundle
    from evergreen.registry.ledger import Ledger, folder_name
    from evergreen.registry.versions import ModelRegistry
    from evergreen.runs.local_home import LocalHome

    store = ledger_store(ledger_uri, home)
    registry = ModelRegistry(tracking_uri or LocalHome(home).tracking_uri, model)
    folder = output or Path(f"{folder_name(model)}-{version}")
    written = write_bundle(folder, version, registry=registry, ledger=Ledger(store, model), store=store, approval_key=approval_key())
    if as_json:
        typer.echo(json.dumps(asdict(written), ensure_ascii=False))
    else:
        typer.echo(
            f"Wrote {written.files} files about version {version} of model {model!r} to {written.folder}/, with SHA256SUMS; README.md says what is what."
        )
        typer.echo("The ledger's chain holds." if not written.audit.problems else "The ledger is NOT what was written; see audit.json.")
