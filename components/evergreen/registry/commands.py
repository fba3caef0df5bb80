"""The registry commands: ``evergreen history``, ``evergreen lineage`` and ``evergreen audit``."""

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
    audits = typer.Typer(help="Verify a model's ledger, or collect everything about a version.", no_args_is_help=True)
    audits.command("verify")(verify)
    audits.command("bundle")(bundle)
    app.add_typer(audits, name="audit")


def history(model: ModelName, ledger_uri: LedgerUri = None, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show a model's ledger: every promotion, rejection and decision to keep the champion.

    Records of runs that left a degraded champion in service are marked "degraded, not repaired"; with --json, in the field outcome.
    """
    from rich.console import Console

    from evergreen.registry.display import print_history
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.run_outcomes import run_outcomes

    records = Ledger(ledger_store(ledger_uri, home), model).records()
    if as_json:
        outcomes = run_outcomes(records)
        typer.echo(json.dumps(plain([{**asdict(record), "outcome": outcomes.get(record.number, record.kind)} for record in records]), ensure_ascii=False))
    elif records:
        print_history(Console(), model, records)
    else:
        typer.echo(f"The ledger has no records of model {model!r}.")


def lineage(  # noqa: PLR0917  # every option of a command is a parameter
    model: Annotated[str | None, typer.Argument(help="Name of the registered model. With --dataset, defaults to all models.", metavar="[MODEL]")] = None,
    version: Annotated[str | None, typer.Option("--version", help="The version. Defaults to the champion.", metavar="VERSION")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Fingerprint, source or file. Shows all versions trained on it.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the graph to a file.", metavar="FILE.svg")] = None,
    ledger_uri: LedgerUri = None,
    tracking_uri: TrackingUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show the origin of a version (data, run and code) or, with --dataset, the versions trained on a dataset.

    Exit status: 0 if something was found, 1 if no version was trained on the dataset, 2 for invalid input.
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
        raise RegistryError("lineage: neither a model nor --dataset is given; expected one of them. Pass a model or a dataset.")
    if dataset is not None:
        if version is not None:
            raise RegistryError(f"lineage: --version {version} and --dataset {dataset} are both given; expected one of them. Omit one.")
        names = [model] if model else model_names(server)
        models = [(ModelRegistry(server, name), Ledger(store, name)) for name in names]
        # Manifests of local files contain absolute paths.
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
        typer.echo(f"No version was trained on {dataset}; expected a fingerprint, a source URI or a file URI as in the data manifest.")
    if not found:
        raise typer.Exit(1)


def verify(model: ModelName, ledger_uri: LedgerUri = None, tracking_uri: TrackingUri = None, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Find records of a model's ledger that were edited, removed, reordered, inserted or forked, and detect a truncated ledger.

    Approvals are verified with the key in $EVERGREEN_APPROVAL_KEY, if it is set.
    Exit status: 0 if the ledger is intact, 1 if it is not, 2 for invalid input.
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
        typer.echo(f"The ledger of model {model!r} was tampered with or damaged:\n" + "\n".join(f"  {problem}" for problem in found.problems))
    elif not found.records:
        typer.echo(f"The ledger has no records of model {model!r}, and the registry notes none.")
    else:
        noted = f"the registry notes record {found.noted_head.partition(':')[0]} as written" if found.noted_head else "the registry notes no head yet"
        typer.echo(f"The ledger of model {model!r} is intact: {found.records} records in one chain, champion {found.champion}; {noted}.")
    if found.problems:
        raise typer.Exit(1)


def bundle(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="Version of the registered model.", metavar="VERSION")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write. Defaults to MODEL-VERSION.", metavar="FOLDER")] = None,
    ledger_uri: LedgerUri = None,
    tracking_uri: TrackingUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Collect the model, data sample, contract, scores, ledger and run records of a version in one folder, with checksums."""
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
            f"Wrote {written.files} files about version {version} of model {model!r} to {written.folder}/, with SHA256SUMS; README.md describes the contents."
        )
        typer.echo("The ledger's hash chain is intact." if not written.audit.problems else "The ledger is NOT intact; see audit.json.")
