"""Promotion from one registry to another, such as staging to production: copies the bytes, verifies their hash, and promotes in the other ledger.

A copied version passed the gate in its own registry and was not rolled back there. The copy is found again by its
challenger's ID, so a command that was killed at any point can be completed by running it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.published_model import manifest_of_files
from evergreen.deployment.serving import serve_champion
from evergreen.deployment.targets import open_targets, target_names
from evergreen.models.files import load_model
from evergreen.registry.champion import open_ledger
from evergreen.registry.errors import RolledBackError, SupersededError
from evergreen.registry.head import keep_head_noted
from evergreen.registry.ledger import Entry, Ledger
from evergreen.registry.record import PROMOTION, LedgerRecord
from evergreen.registry.semantic_version import SEMANTIC_VERSION, next_semantic_version
from evergreen.registry.versions import CHALLENGER_TAG, ModelRegistry
from evergreen.secrets.addresses import without_password
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from pathlib import Path

CURRENT = "current"
LEFT_BEHIND = (SEMANTIC_VERSION, "approval_record", "approved_by", "copied_from")
"""Parts of a promotion's evidence that apply only to the registry where it happened."""


@dataclass(frozen=True)
class Place:
    """A registry and its ledger: an MLflow server, and a folder or bucket."""

    tracking_uri: str
    ledger_uri: str

    def opened(self, model_name: str) -> tuple[ModelRegistry, Ledger]:
        """Connect, and check that the end of the ledger matches the head noted in the registry.

        Raises:
            DeploymentError: There is no ledger.
            LedgerError: The end of the ledger was cut off or rewritten.
            StateError: The server or the ledger cannot be used.
        """
        ledger = open_ledger(self.ledger_uri, model_name)
        if ledger is None:
            raise DeploymentError(
                f"copy of model {model_name!r}: the ledger is {self.ledger_uri!r}, but a copy needs the promotions in it. Set the ledger's folder."
            )
        registry = ModelRegistry(self.tracking_uri, model_name)
        keep_head_noted(registry, ledger)
        return registry, ledger


@dataclass(frozen=True)
class CopyRequest:
    """A version to copy and promote.

    Attributes:
        model_name: Name of the registered model in both registries.
        version: The version in the source registry.
        reason: The reason.
        actor: Who requested the copy.
        expected_champion: The champion it must replace in the destination; ``none`` for none, ``current`` for any.
        targets: Comma-separated serving targets of the destination.
    """

    model_name: str
    version: str
    reason: str
    actor: str
    expected_champion: str = CURRENT
    targets: str = "registry"


@dataclass(frozen=True)
class CopiedVersion:
    """The result of a copy.

    Attributes:
        outcome: ``promoted`` or ``already champion``.
        model_name: Name of the registered model.
        version_here: The version in the source registry.
        version_there: The version in the destination registry.
        champion_before: The previous champion of the destination, or ``none``.
        files: Number of files.
        sha256: Hash of the list of files, sizes and checksums, identical in both registries.
        ledger_record: Number of the record in the destination's ledger.
    """

    outcome: str
    model_name: str
    version_here: str
    version_there: str
    champion_before: str
    files: int
    sha256: str
    ledger_record: int


def copy_version(request: CopyRequest, here: Place, there: Place) -> CopiedVersion:
    """Copy a version to another registry and make it the champion there.

    Raises:
        DeploymentError: The reason is missing, the version was never promoted here or was rolled back on either side, the destination has an unexpected
            champion, or the bytes of the copy differ.
        RegistryError: The version does not exist here.
        ModelError: The copy cannot be loaded.
        LedgerError: The end of a ledger was cut off or rewritten.
        StateError: A server or a ledger cannot be used.
    """
    if is_nothing(request.reason):
        raise DeploymentError(
            f"copy of version {request.version} of model {request.model_name!r}: the reason is {request.reason!r}; expected text. Pass a reason."
        )
    target_names(request.targets)
    if here.tracking_uri == there.tracking_uri:
        raise DeploymentError(
            f"copy of model {request.model_name!r}: both registries are {here.tracking_uri}; expected two different ones. Pass the other server."
        )
    return _Copy(request, here, *here.opened(request.model_name), *there.opened(request.model_name)).run()


@dataclass(frozen=True)
class _Copy:
    request: CopyRequest
    origin: Place
    registry_here: ModelRegistry
    ledger_here: Ledger
    registry_there: ModelRegistry
    ledger_there: Ledger

    @property
    def thing(self) -> str:
        return f"copy of version {self.request.version} of model {self.request.model_name!r}"

    def run(self) -> CopiedVersion:
        registered = self.registry_here.version(self.request.version)
        challenger_id = str(registered.tags.get(CHALLENGER_TAG, ""))
        promotion = self._promotion_here()
        champion = self._expected_champion(challenger_id)
        with self.registry_here.fetched(self.request.version) as files:
            content = _content(files)
            version = self._registered_there(files, challenger_id, dict(registered.tags))
        self._check_copy(version, content)
        targets = open_targets(self.request.targets, self.registry_there)
        for target in targets:
            target.stage(version)
        earlier = self._earlier_record(version)
        record = earlier or self._record(version, challenger_id, champion, promotion, content[1])
        serve_champion(version, registry=self.registry_there, ledger=self.ledger_there, targets=targets)
        outcome = "already champion" if earlier else "promoted"
        return CopiedVersion(outcome, self.request.model_name, self.request.version, version, record.version_before, *content, record.number)

    def _promotion_here(self) -> LedgerRecord:
        promotion = next(
            (record for record in self.ledger_here.newest_first() if (record.kind, record.version_after) == (PROMOTION, self.request.version)), None
        )
        if promotion is None:
            raise DeploymentError(f"{self.thing}: it was never promoted here, so it did not pass the gate. Copy a champion; `evergreen history` lists them.")
        rollback = self.ledger_here.rollback_of(version=self.request.version)
        if rollback is not None:
            raise DeploymentError(
                f"{self.thing}: ledger record {rollback.number} rolled it back here ({rollback.evidence.get('reason')}). Copy a good version."
            )
        return promotion

    def _expected_champion(self, challenger_id: str) -> str:
        rollback = self.ledger_there.rollback_of(challenger_id=challenger_id)
        if rollback is not None:
            raise DeploymentError(f"{self.thing}: {RolledBackError.by(self.request.model_name, rollback)}")
        champion = self.ledger_there.champion()
        already = self._earlier_record(champion)
        if already is not None and already.challenger_id == challenger_id:
            return champion
        if self.request.expected_champion not in (CURRENT, champion):
            raise DeploymentError(
                f"{self.thing}: the champion there is version {champion}; expected version {self.request.expected_champion}. Nothing was promoted."
            )
        return champion

    def _earlier_record(self, version: str) -> LedgerRecord | None:
        return self.ledger_there.promotion_of(version) if self.ledger_there.champion() == version else None

    def _registered_there(self, files: Path, challenger_id: str, tags: dict[str, str]) -> str:
        existing = self.registry_there.find_challenger(challenger_id)
        if existing is not None:
            return str(existing.version)
        # The version's history here is recorded in the destination's ledger, not in its tags.
        described = {name: value for name, value in tags.items() if name in ("evergreen.task", "evergreen.metric", "evergreen.score") or "fit_" in name}
        described["evergreen.data_fingerprint"] = tags.get("evergreen.data_fingerprint", "")
        return self.registry_there.register_files(files, challenger_id=challenger_id, tags=described)

    def _check_copy(self, version: str, content: tuple[int, str]) -> None:
        with self.registry_there.fetched(version) as copied:
            if _content(copied) != content:
                raise DeploymentError(
                    f"{self.thing}: version {version} there does not contain the same bytes. Nothing was promoted; delete that version and copy again."
                )
            load_model(copied)

    def _record(self, version: str, challenger_id: str, champion: str, promotion: LedgerRecord, sha256: str) -> LedgerRecord:
        origin = {
            "tracking_uri": without_password(self.origin.tracking_uri),
            "version": self.request.version,
            "ledger_record": promotion.number,
            "ledger_hash": promotion.hash,
            "sha256": sha256,
        }
        evidence: dict[str, Any] = {
            **{name: value for name, value in promotion.evidence.items() if name not in LEFT_BEHIND},
            "version": version,
            "targets": self.request.targets,
            "reason": self.request.reason,
            "copied_from": origin,
            "sentence": f"Version {self.request.version} of another registry was copied and promoted: {self.request.reason}",
        }
        evidence[SEMANTIC_VERSION] = next_semantic_version(self.ledger_there, evidence)
        entry = Entry(PROMOTION, version, step_name="evergreen copy", challenger_id=challenger_id, evidence=evidence, actor=self.request.actor)
        try:
            return self.ledger_there.append(entry, expected_champion=champion)
        except (RolledBackError, SupersededError) as error:
            raise DeploymentError(f"{self.thing}: {error}") from error


def _content(files: Path) -> tuple[int, str]:
    manifest = manifest_of_files(files, model_name="", version="")
    return len(manifest.files), manifest.digest
