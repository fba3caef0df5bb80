"""The champion: its version, and what was registered with it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.data.artifacts import PRESENT, read_json, write_absent, write_json
from evergreen.registry.errors import RegistryError
from evergreen.registry.head import keep_head_noted
from evergreen.registry.ledger import NO_CHAMPION, Ledger
from evergreen.registry.versions import EVIDENCE_FOLDER, ModelRegistry, copy_model_directory
from evergreen.results.baseline import Baseline
from evergreen.storage.opening import open_store
from evergreen.storage.uris import check_ledger_uri, is_nothing, runs_in_a_pod

REFERENCE_FILE = "reference.parquet"
CONTRACT_FILE = "contract.yaml"
BASELINE_FILE = "baseline.json"
CARD_FILE = "model_card.md"
CARD_PAGE_FILE = "model_card.html"


@dataclass(frozen=True)
class LoadedChampion:
    """The loaded champion.

    Attributes:
        version: Its version, or ``none``.
        fit_end: Event time up to which it has seen rows; empty if there is no champion.
        alias_repaired: Whether the alias had to be moved to the version in the ledger.
    """

    version: str
    fit_end: str = ""
    alias_repaired: bool = False


def open_ledger(ledger_uri: str, model_name: str) -> Ledger | None:
    """Return the model's ledger, or None when a component is used without one.

    Raises:
        StateError: No ledger is configured in a pod, or it cannot be used there.
    """
    if is_nothing(ledger_uri) and not runs_in_a_pod():
        return None
    return Ledger(open_store(check_ledger_uri(ledger_uri)), model_name)


def reconcile_alias(registry: ModelRegistry, ledger: Ledger | None) -> tuple[str, bool]:
    """Move the alias to the champion in the ledger if it points elsewhere, and note the ledger's head in the registry.

    Returns:
        The champion's version or ``none``, and whether the alias was moved.

    Raises:
        RegistryError: The version named in the ledger is not in the registry.
        LedgerError: The end of the ledger was cut off or rewritten.
    """
    if ledger is not None:
        keep_head_noted(registry, ledger)
    alias = registry.alias_version()
    named = ledger.champion() if ledger else NO_CHAMPION
    if named == NO_CHAMPION:
        return alias or NO_CHAMPION, False
    if named == alias:
        return named, False
    registry.version(named)
    registry.move_alias(named)
    return named, True


def write_champion(*, tracking_uri: str, ledger_uri: str, model_name: str, model: Any, reference_data: Any, contract: Any, baseline: Any) -> LoadedChampion:
    """Fetch the champion with its reference data, contract and baseline, or write all four as absent.

    Args:
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger, or ``none``.
        model_name: Name of the registered model.
        model: Output artifact for the model directory.
        reference_data: Output artifact for the reference sample.
        contract: Output artifact for the data contract.
        baseline: Output artifact for the baseline.

    Raises:
        StateError: The server or the ledger cannot be used.
        RegistryError: The champion is not in the registry, or was not registered by Evergreen.
    """
    ledger = open_ledger(ledger_uri, model_name)
    registry = ModelRegistry(tracking_uri, model_name)
    version, repaired = reconcile_alias(registry, ledger)
    outputs = (model, reference_data, contract, baseline)
    if version == NO_CHAMPION:
        for output in outputs:
            write_absent(output)
        return LoadedChampion(NO_CHAMPION)
    promoted_at = _promotion_time(ledger, version)
    with registry.fetched(version) as files:
        evidence = files / EVIDENCE_FOLDER
        _check_registered_by_evergreen(evidence, registry, version)
        copy_model_directory(files, model.path)
        for artifact, name in ((reference_data, REFERENCE_FILE), (contract, CONTRACT_FILE)):
            Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(evidence / name, artifact.path)
        known = {
            **read_json(evidence / BASELINE_FILE),
            PRESENT: True,
            "model_name": model_name,
            "version": version,
            "model_uri": f"models:/{model_name}/{version}",
            "promoted_at": promoted_at,
        }
    fit_end = Baseline.from_json(known, source=f"{BASELINE_FILE} of version {version} of model {model_name!r}", error=RegistryError).fit_end
    # As it was registered, with whatever another version of Evergreen added.
    write_json(baseline.path, known)
    for output in outputs:
        output.metadata.update({PRESENT: True, "model_name": model_name, "version": version})
    return LoadedChampion(version, fit_end, repaired)


def _check_registered_by_evergreen(evidence: Path, registry: ModelRegistry, version: str) -> None:
    missing = [name for name in (REFERENCE_FILE, CONTRACT_FILE, BASELINE_FILE) if not (evidence / name).is_file()]
    if missing:
        raise RegistryError(
            f"version {version} of model {registry.model_name!r} is the champion but lacks {missing[0]}, because it was not registered by Evergreen. "
            "Take the alias 'champion' away from it, and the next run trains, evaluates and promotes a model with everything that monitoring needs."
        )


def _promotion_time(ledger: Ledger | None, version: str) -> str:
    record = ledger.promotion_of(version) if ledger else None
    return record.time if record else ""
