"""The promotion of a challenger: register it, test it, stage it, decide in the ledger, and serve it.

Every step may be killed and run again. Completed work is found again by the challenger's ID, and the next slot of the ledger,
created only if absent, decides. Everything after the ledger record is derived from it, and later steps repair it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.evidence import evidence_differs, write_evidence
from evergreen.deployment.registered_copy_checks import smoke_test, try_serving
from evergreen.deployment.request import PROMOTED, Deployment, ledger_entry
from evergreen.deployment.serving import serve_champion
from evergreen.deployment.targets import open_targets
from evergreen.models.files import load_model
from evergreen.registry.champion import REFERENCE_FILE, open_ledger
from evergreen.registry.errors import RolledBackError, SupersededError
from evergreen.registry.head import keep_head_noted
from evergreen.registry.ledger import NO_CHAMPION, WAITING
from evergreen.registry.record import PROMOTION
from evergreen.registry.semantic_version import SEMANTIC_VERSION, next_semantic_version
from evergreen.registry.versions import APPROVAL_TAG, EVIDENCE_FOLDER, ModelRegistry

if TYPE_CHECKING:
    from evergreen.deployment.challenger import PassedChallenger
    from evergreen.deployment.registered_copy_checks import CopyCheck
    from evergreen.deployment.request import PromotionRequest
    from evergreen.deployment.targets import ServingTarget
    from evergreen.registry.ledger import Ledger, LedgerRecord


def promote(challenger: PassedChallenger, request: PromotionRequest, *, tracking_uri: str, ledger_uri: str) -> Deployment:
    """Promote a challenger that passed the gate.

    Args:
        challenger: The challenger.
        request: Which champion it replaces, and how.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger, or ``none`` to let the alias alone decide.

    Returns:
        The result of the deployment.

    Raises:
        DeploymentError: An option is unknown, the registered copy does not work, another champion was promoted since the comparison, or the challenger
            was rolled back before.
        LedgerError: The end of the ledger was cut off or rewritten.
        StateError: The server or the ledger cannot be used.
    """
    request.check()
    if request.mode == "dry-run":
        champion = request.expected_champion
        sentence = "Dry run: the challenger passed the gate and would be promoted; nothing was registered."
        return Deployment("dry run", request.model_name, NO_CHAMPION, champion, champion, challenger.model_uri, sentence)
    registry = ModelRegistry(tracking_uri, request.model_name)
    ledger = open_ledger(ledger_uri, request.model_name)
    promotion = _Promotion(challenger, request, registry, ledger, open_targets(request.targets, registry), ledger_uri)
    try:
        return promotion.run()
    except (RolledBackError, SupersededError) as error:
        promotion.abort()
        raise DeploymentError(str(error)) from error


@dataclass(frozen=True)
class _EarlierPromotion:
    """An earlier promotion of the same challenger, which is already the champion."""

    version: str
    version_before: str
    run_id: str = "none"
    ledger_record: int | None = None


@dataclass(frozen=True)
class _Promotion:
    challenger: PassedChallenger
    request: PromotionRequest
    registry: ModelRegistry
    ledger: Ledger | None
    targets: list[ServingTarget]
    ledger_uri: str

    @property
    def challenger_id(self) -> str:
        return self.challenger.description.challenger_id

    def run(self) -> Deployment:
        if self.ledger is not None:
            keep_head_noted(self.registry, self.ledger)
        earlier = self._earlier_promotion()
        if earlier is not None:
            return self._finish_again(earlier)
        champion = self._expected_champion()
        self._check_not_rolled_back()
        version = self._register()
        checks = self._try_out(version)
        for target in self.targets:
            target.stage(version)
        deployment = Deployment(PROMOTED, self.request.model_name, version, champion, version, self.challenger.model_uri, "", checks)
        if self.request.approval == "required":
            return self._wait_for_approval(deployment)
        try:
            record = self._record(deployment)
        except SupersededError:
            # Another attempt to promote the same challenger may have taken the slot.
            earlier = self._earlier_promotion()
            if earlier is None:
                raise
            return self._finish_again(earlier)
        # Once the record exists, the challenger is the champion; what follows applies this to the serving targets.
        deployment.ledger_record = record.number if record else None
        self._serve(version)
        instead = f"instead of version {champion}" if champion != NO_CHAMPION else "as the first champion"
        deployment.sentence = f"Version {version} was promoted {instead}. {self.challenger.evaluation.sentence}".strip()
        return deployment

    def abort(self) -> None:
        """Undo the staging by this attempt or by an earlier one that was killed."""
        registered = self.registry.find_challenger(self.challenger_id)
        if registered is not None:
            for target in self.targets:
                target.abort(str(registered.version))

    def _earlier_promotion(self) -> _EarlierPromotion | None:
        if self.ledger is None:
            registered = self.registry.find_challenger(self.challenger_id)
            version = str(registered.version) if registered is not None else NO_CHAMPION
            return _EarlierPromotion(version, version) if version == self.registry.alias_version() else None
        champion = self.ledger.champion()
        record = next((record for record in self.ledger.newest_first() if (record.kind, record.version_after) == (PROMOTION, champion)), None)
        if record is None or record.challenger_id != self.challenger_id:
            return None
        return _EarlierPromotion(record.version_after, record.version_before, record.run_id, record.number)

    def _finish_again(self, earlier: _EarlierPromotion) -> Deployment:
        self._serve(earlier.version)
        same_run = earlier.run_id == self.request.run_id != "none"
        return Deployment(
            outcome=PROMOTED if same_run else "already champion",
            model_name=self.request.model_name,
            version=earlier.version,
            champion_before=earlier.version_before if same_run else earlier.version,
            champion_after=earlier.version,
            model_uri=self.challenger.model_uri,
            sentence=f"Version {earlier.version} is this same challenger and already the champion; nothing was promoted.",
            ledger_record=earlier.ledger_record,
        )

    def _expected_champion(self) -> str:
        named = self.ledger.champion() if self.ledger else NO_CHAMPION
        champion = named if named != NO_CHAMPION else self.registry.alias_version() or NO_CHAMPION
        if champion != self.request.expected_champion:
            raise SupersededError.by(self.request.model_name, expected=self.request.expected_champion, found=champion)
        return champion

    def _check_not_rolled_back(self) -> None:
        # Check early, so that nothing is registered; the ledger checks again when the slot is taken.
        rollback = self.ledger.rollback_of(challenger_id=self.challenger_id) if self.ledger else None
        if rollback is not None:
            raise RolledBackError.by(self.request.model_name, rollback)

    def _register(self) -> str:
        description, evaluation = self.challenger.description, self.challenger.evaluation
        existing = self.registry.find_challenger(self.challenger_id)
        if existing is not None:
            return str(existing.version)
        # Add the evidence before the version exists, so that no version ever lacks what monitoring needs.
        self._add_evidence(self.challenger.model_id)
        tags = {
            "evergreen.task": description.task,
            "evergreen.fit_start": description.fit_start,
            "evergreen.fit_end": description.fit_end,
            "evergreen.data_fingerprint": description.data_fingerprint,
            "evergreen.metric": str(evaluation.metric),
            "evergreen.score": str(evaluation.challenger_score),
        }
        made = self.registry.register(model_id=self.challenger.model_id, run_id=self.challenger.mlflow_run_id, challenger_id=self.challenger_id, tags=tags)
        return str(made.version)

    def _add_evidence(self, model_id: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_evidence(self.challenger, Path(folder))
            self._take_over_reference(Path(folder))
            self.registry.add_evidence(model_id, Path(folder))

    def _take_over_reference(self, folder: Path) -> None:
        """Replace the reference data of a former champion by those of its former version: the new dataset need not contain the rows it was fitted on."""
        former = self.challenger.description.former_version
        if not former:
            return
        with self.registry.fetched(former) as files:
            kept = files / EVIDENCE_FOLDER / REFERENCE_FILE
            if kept.is_file():
                shutil.copyfile(kept, folder / REFERENCE_FILE)

    def _try_out(self, version: str) -> list[CopyCheck]:
        with self.registry.fetched(version) as files:
            checks = smoke_test(load_model(files), self.challenger.model, self.challenger.evaluation)
            checks += try_serving(files, self.challenger.evaluation)
            outdated = evidence_differs(self.challenger, files / EVIDENCE_FOLDER)
        if outdated:
            self._add_evidence(self.registry.version(version).model_id or self.challenger.model_id)
        return checks

    def _wait_for_approval(self, deployment: Deployment) -> Deployment:
        self.registry.tag_version(deployment.version, APPROVAL_TAG, "waiting")
        deployment.outcome, deployment.champion_after = WAITING, deployment.champion_before
        deployment.sentence = (
            f"Version {deployment.version} passed the gate and is waiting for approval; the champion is still version {deployment.champion_before}."
        )
        record = self._record(deployment)
        deployment.ledger_record = record.number if record else None
        return deployment

    def _record(self, deployment: Deployment) -> LedgerRecord | None:
        if self.ledger is None:
            return None
        # A champion that predates the ledger is known only to the alias; an empty ledger names no champion.
        expected = deployment.champion_before if self.ledger.champion() != NO_CHAMPION else NO_CHAMPION
        entry = ledger_entry(deployment, self.challenger, self.request, self.ledger_uri)
        if entry.kind == PROMOTION:
            evidence = entry.evidence or {}
            entry = replace(entry, evidence={**evidence, SEMANTIC_VERSION: next_semantic_version(self.ledger, evidence)})
        return self.ledger.append(entry, expected_champion=expected)

    def _serve(self, version: str) -> None:
        serve_champion(version, registry=self.registry, ledger=self.ledger, targets=self.targets)
