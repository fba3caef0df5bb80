"""Options shared by several commands, so that names and help texts are the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evergreen.storage.base import ObjectStore

DEFAULT_HOME = Path(".evergreen")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Digests = Annotated[Path | None, typer.Option("--digests", help="JSON file that maps each image name to its digest.")]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on",
        help="Exit with status 3 if every step succeeded but the champion is degraded and was not repaired (degraded), or the gate rejected a "
        "challenger (rejected). Repeatable.",
        metavar="FINDING",
    ),
]
Home = Annotated[Path, typer.Option("--home", help="Folder for the local registry, ledger, artifacts and logs.")]
ImageRegistry = Annotated[str | None, typer.Option("--image-registry", help="Registry and path that hold your images.")]
LedgerUri = Annotated[str | None, typer.Option("--ledger-uri", help="Folder or bucket of the ledger. Defaults to the local ledger.")]
ModelName = Annotated[str, typer.Argument(help="Name of the registered model.", metavar="MODEL")]
PipelineFile = Annotated[Path, typer.Argument(help="Python file that defines one pipeline.", metavar="PIPELINE.py")]
PlatformFile = Annotated[Path | None, typer.Option("--platform", help="YAML file with node selectors, tolerations, accelerators, volumes and resource sizes.")]
TrackingUri = Annotated[str | None, typer.Option("--tracking-uri", help="MLflow server. Defaults to the local registry.")]


def ledger_store(ledger_uri: str | None, home: Path) -> ObjectStore:
    """Open the store at the given ledger URI, or the ledger of local runs."""
    from evergreen.runs.local_home import LocalHome
    from evergreen.storage.opening import open_store

    return open_store(ledger_uri or LocalHome(home).ledger_uri)
