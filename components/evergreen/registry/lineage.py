"""Lineage: the origin of a version, and the versions trained on a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.registry.errors import RegistryError
from evergreen.registry.record import NO_CHAMPION, ROLLBACK
from evergreen.registry.semantic_version import SEMANTIC_VERSION
from evergreen.registry.versions import APPROVAL_TAG, CHALLENGER_TAG, RETIRED_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow.entities.model_registry import ModelVersion

    from evergreen.registry.ledger import Ledger, LedgerRecord
    from evergreen.registry.versions import ModelRegistry

CHAMPION = "champion"


@dataclass(frozen=True)
class VersionLineage:
    """A version and its origin.

    Attributes:
        model_name: Name of the registered model.
        version: Its version.
        semantic_version: Its semantic version, which tells callers what changed; empty if it was never promoted.
        status: ``champion``, ``former champion``, ``rolled back``, ``waits for approval``, ``retired`` or ``registered``.
        data_fingerprint: Fingerprint of the rows that it was fitted on; empty if it was not registered by Evergreen.
        data_source_uri: Source of these rows; empty if not recorded.
        data_objects: The files or objects that were read, with their versions.
        fit_start: First event time that it was fitted on.
        fit_end: Event time up to which (exclusive) it has seen rows.
        training_run: The MLflow run that produced it.
        pipeline_run: The pipeline run that recorded it; empty if not recorded.
        challenger_id: Hash of data fingerprint, recipe, seed and code version.
        estimator: Import path of the estimator; empty if not recorded.
        evergreen_version: Version of the code that recorded it; empty if not recorded.
        image: The image that recorded it; empty outside an image.
        promoted_at: Time of promotion, ISO, UTC; empty if it was never promoted.
        promoted_instead_of: The champion it replaced; empty if it was never promoted.
    """

    model_name: str
    version: str
    semantic_version: str
    status: str
    data_fingerprint: str
    data_source_uri: str
    data_objects: tuple[dict[str, Any], ...]
    fit_start: str
    fit_end: str
    training_run: str
    pipeline_run: str
    challenger_id: str
    estimator: str
    evergreen_version: str
    image: str
    promoted_at: str
    promoted_instead_of: str

    def learned_from(self, dataset: str) -> bool:
        """Return whether a fingerprint, source URI or object URI identifies its training data."""
        return dataset in (self.data_fingerprint, self.data_source_uri) or any(dataset == found.get("uri") for found in self.data_objects)


def learned_versions(registry: ModelRegistry, ledger: Ledger) -> list[VersionLineage]:
    """Return every version of a model with its origin, oldest first.

    Raises:
        LedgerError: A record cannot be read.
        StateError: The server or the ledger cannot be used.
    """
    records = list(ledger.newest_first())
    champion = records[0].version_after if records else NO_CHAMPION
    found = sorted(registry.all_versions(), key=lambda version: int(version.version))
    return [_learned(version, records, champion if champion != NO_CHAMPION else registry.alias_version()) for version in found]


def lineage_of_version(registry: ModelRegistry, ledger: Ledger, version: str | None) -> VersionLineage:
    """Return the origin of a version, by default of the champion.

    Raises:
        RegistryError: The version or a champion does not exist.
        LedgerError: A record cannot be read.
        StateError: The server or the ledger cannot be used.
    """
    found = learned_versions(registry, ledger)
    for learned in found:
        if learned.version == version or (version is None and learned.status == CHAMPION):
            return learned
    known = ", ".join(learned.version for learned in found) or "none"
    wanted = f"version {version}" if version is not None else "champion"
    raise RegistryError(f"Model {registry.model_name!r} has no {wanted} at {registry.tracking_uri}. Existing versions: {known}. Choose one with --version.")


def lineage_of_dataset(models: Iterable[tuple[ModelRegistry, Ledger]], dataset: str) -> list[VersionLineage]:
    """Return all versions of all models that were trained on a dataset.

    Args:
        models: Registry and ledger of each model.
        dataset: Fingerprint, source URI or object URI.

    Raises:
        LedgerError: A record cannot be read.
        StateError: The server or the ledger cannot be used.
    """
    return [learned for registry, ledger in models for learned in learned_versions(registry, ledger) if learned.learned_from(dataset)]


def _learned(version: ModelVersion, records: list[LedgerRecord], champion: str | None) -> VersionLineage:
    number, tags = str(version.version), version.tags
    promotion = next((record for record in records if record.version_after == number and record.changed_champion() and record.kind != ROLLBACK), None)
    told = promotion or next((record for record in records if record.evidence.get("version") == number and "fit_end" in record.evidence), None)
    evidence = told.evidence if told else {}
    manifest = evidence.get("training_manifest") or {}
    return VersionLineage(
        model_name=version.name,
        version=number,
        semantic_version=str(promotion.evidence.get(SEMANTIC_VERSION, "")) if promotion else "",
        status=_status(number, tags, records, champion),
        data_fingerprint=str(tags.get("evergreen.data_fingerprint", "")),
        data_source_uri=str(manifest.get("source_uri", "")),
        data_objects=tuple(manifest.get("objects") or ()),
        fit_start=str(tags.get("evergreen.fit_start", "")),
        fit_end=str(tags.get("evergreen.fit_end", "")),
        training_run=str(version.run_id or ""),
        pipeline_run=told.run_id if told else "",
        challenger_id=str(tags.get(CHALLENGER_TAG, "")),
        estimator=str((evidence.get("recipe") or {}).get("estimator", "")),
        evergreen_version=told.evergreen_version if told else "",
        image=told.image if told else "",
        promoted_at=promotion.time if promotion else "",
        promoted_instead_of=promotion.version_before if promotion else "",
    )


def _status(version: str, tags: dict[str, str], records: list[LedgerRecord], champion: str | None) -> str:
    holds = {
        CHAMPION: version == champion,
        "rolled back": any(record.kind == ROLLBACK and record.version_before == version for record in records),
        "retired": RETIRED_TAG in tags,
        "waits for approval": tags.get(APPROVAL_TAG) in ("waiting", "approved"),
        "former champion": any(record.changed_champion() and record.version_before == version for record in records),
    }
    return next((status for status, held in holds.items() if held), "registered")
