"""Approval of a waiting version that passed the gate: recorded, signed if a key is configured, and carried out.

No step waits for it. The approval command itself completes the promotion; if it is killed before that, the next scheduled run does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.serving import serve_champion
from evergreen.deployment.targets import open_targets
from evergreen.registry.approval import approval_key, is_signed, signature
from evergreen.registry.champion import open_ledger
from evergreen.registry.errors import RolledBackError, SupersededError
from evergreen.registry.head import keep_head_noted
from evergreen.registry.ledger import WAITING, Entry
from evergreen.registry.record import APPROVAL, PROMOTION
from evergreen.registry.semantic_version import SEMANTIC_VERSION, next_semantic_version
from evergreen.registry.versions import APPROVAL_TAG, ModelRegistry
from evergreen.secrets.redaction import mask
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.registry.ledger import Ledger, LedgerRecord

APPROVED = "approved"
AWAITED = "waiting"
SUPERSEDED = "superseded"


@dataclass(frozen=True)
class ApprovalRequest:
    """An approval: who approves which version, and why.

    Attributes:
        model_name: Name of the registered model.
        version: The version waiting for approval.
        by: The approver.
        reason: The reason.
    """

    model_name: str
    version: str
    by: str
    reason: str


@dataclass(frozen=True)
class ApprovedPromotion:
    """The promotion that follows an approval.

    Attributes:
        model_name: Name of the registered model.
        version: The approved version.
        champion_before: The previous champion, or ``none``.
        champion_after: The current champion.
        by: The approver.
        signed: Whether the approval is signed with the configured key.
        approval_record: Number of the ledger record of the approval.
        ledger_record: Number of the ledger record of the promotion.
    """

    model_name: str
    version: str
    champion_before: str
    champion_after: str
    by: str
    signed: bool
    approval_record: int
    ledger_record: int


def approve(request: ApprovalRequest, *, tracking_uri: str, ledger_uri: str) -> ApprovedPromotion:
    """Record an approval and promote the version.

    Raises:
        DeploymentError: The approver or reason is missing, or the version is not waiting, was rolled back or has been superseded.
        LedgerError: The end of the ledger was cut off or rewritten.
        StateError: The server or the ledger cannot be used.
    """
    for name, value in (("--by", request.by), ("--reason", request.reason)):
        if is_nothing(value):
            raise DeploymentError(f"approval of version {request.version} of model {request.model_name!r}: {name} is {value!r}; expected text. Fill it in.")
    approvals = _opened(request.model_name, tracking_uri, ledger_uri)
    if approvals is None:
        raise DeploymentError(
            f"approval of model {request.model_name!r}: state_ledger_uri is {ledger_uri!r}, but approvals are stored in the ledger. Set it to its folder."
        )
    waiting = approvals.waiting(request.version)
    if waiting is None:
        raise DeploymentError(f"approval of model {request.model_name!r}: version {request.version} is not waiting for approval. Check `evergreen history`.")
    approvals.check(waiting)
    approval = approvals.approval_of(waiting) or approvals.record(request, waiting)
    return approvals.carry_out(waiting, approval)


def finish_approved(*, model_name: str, tracking_uri: str, ledger_uri: str, run_id: str = "none", step_name: str = "load_champion") -> list[ApprovedPromotion]:
    """Promote approved versions that are not promoted yet, and mark those superseded by another promotion.

    If a key is configured, approvals without its signature are ignored.

    Raises:
        DeploymentError: A target does not serve the approved version.
        LedgerError: The end of the ledger was cut off or rewritten.
        StateError: The server or the ledger cannot be used.
    """
    approvals = _opened(model_name, tracking_uri, ledger_uri, run_id=run_id, step_name=step_name)
    # The tags only say where to look; the ledger decides. An approval that was killed before it set its tag has left "waiting".
    tagged = [version for tag in (APPROVED, AWAITED) for version in approvals.registry.tagged_versions(APPROVAL_TAG, tag)] if approvals else []
    finished = []
    for version in tagged:
        promotion = approvals.finish(version) if approvals else None
        if promotion is not None:
            finished.append(promotion)
    return finished


def _opened(model_name: str, tracking_uri: str, ledger_uri: str, *, run_id: str = "none", step_name: str = "evergreen approve") -> _Approvals | None:
    ledger = open_ledger(ledger_uri, model_name)
    if ledger is None:
        return None
    registry = ModelRegistry(tracking_uri, model_name)
    keep_head_noted(registry, ledger)
    return _Approvals(registry, ledger, approval_key(), run_id, step_name)


@dataclass(frozen=True)
class _Approvals:
    registry: ModelRegistry
    ledger: Ledger
    key: str
    run_id: str
    step_name: str

    def waiting(self, version: str) -> LedgerRecord | None:
        """Return the newest record that a version is waiting for approval."""
        return next((record for record in self.ledger.newest_first() if (record.kind, record.evidence.get("version")) == (WAITING, version)), None)

    def approval_of(self, waiting: LedgerRecord) -> LedgerRecord | None:
        """Return the approval of a waiting version; the signed one if a key is configured."""
        found = [record for record in self.ledger.newest_first() if record.kind == APPROVAL and record.evidence.get("waiting_hash") == waiting.hash]
        return next((record for record in found if is_signed(record, self.key)), None) if self.key else next(iter(found), None)

    def check(self, waiting: LedgerRecord) -> None:
        """Check that the version may still become the champion.

        Raises:
            DeploymentError: It may not.
        """
        version, champion = str(waiting.evidence["version"]), self.ledger.champion()
        if champion not in (version, waiting.version_before):
            error = SupersededError.by(self.ledger.model_name, expected=waiting.version_before, found=champion)
            raise DeploymentError(f"approval of version {version}: {error}")
        rollback = self.ledger.rollback_of(version=version, challenger_id=waiting.challenger_id)
        if rollback is not None:
            raise DeploymentError(f"approval of version {version}: {RolledBackError.by(self.ledger.model_name, rollback)}")

    def record(self, request: ApprovalRequest, waiting: LedgerRecord) -> LedgerRecord:
        """Write the approval to the ledger."""
        # Sign the masked text, because that is what the ledger stores.
        request = replace(request, by=mask(request.by), reason=mask(request.reason))
        signed = {
            "signature": signature(
                self.key,
                model_name=request.model_name,
                version=request.version,
                challenger_id=waiting.challenger_id,
                waiting_hash=waiting.hash,
                by=request.by,
                reason=request.reason,
            )
        }
        evidence = {
            "version": request.version,
            "reason": request.reason,
            "waiting_record": waiting.number,
            "waiting_hash": waiting.hash,
            "sentence": f"Version {request.version} was approved by {request.by}: {request.reason}",
            **(signed if self.key else {}),
        }
        return self.ledger.append(
            Entry(APPROVAL, step_name="evergreen approve", challenger_id=waiting.challenger_id, evidence=evidence, actor=request.by),
            expected_champion=self.ledger.champion(),
        )

    def finish(self, version: str) -> ApprovedPromotion | None:
        """Promote a version if it was approved, and mark it if another promotion superseded it."""
        waiting = self.waiting(version)
        if waiting is None:
            return None
        try:
            self.check(waiting)
        except DeploymentError:
            self.registry.tag_version(version, APPROVAL_TAG, SUPERSEDED)
            return None
        approval = self.approval_of(waiting)
        return self.carry_out(waiting, approval) if approval is not None else None

    def carry_out(self, waiting: LedgerRecord, approval: LedgerRecord) -> ApprovedPromotion:
        """Promote the approved version, unless that is already done, and serve it."""
        version = str(waiting.evidence["version"])
        self.registry.tag_version(version, APPROVAL_TAG, APPROVED)
        targets = open_targets(str(waiting.evidence.get("targets", "registry")), self.registry)
        for target in targets:
            target.stage(version)
        promotion = self._promotion(version, waiting, approval)
        served = serve_champion(version, registry=self.registry, ledger=self.ledger, targets=targets)
        return ApprovedPromotion(
            model_name=self.ledger.model_name,
            version=version,
            champion_before=promotion.version_before,
            champion_after=served,
            by=approval.actor,
            signed=bool(self.key),
            approval_record=approval.number,
            ledger_record=promotion.number,
        )

    def _promotion(self, version: str, waiting: LedgerRecord, approval: LedgerRecord) -> LedgerRecord:
        sentence = f"Version {version} was promoted after {approval.actor} had approved it: {approval.evidence.get('reason')}"
        # Other versions may have been promoted and rolled back in the meantime.
        numbered = {**waiting.evidence, SEMANTIC_VERSION: next_semantic_version(self.ledger, waiting.evidence)}
        evidence = {**numbered, "approval_record": approval.number, "approved_by": approval.actor, "sentence": sentence}
        entry = Entry(PROMOTION, version, self.run_id, self.step_name, waiting.challenger_id, evidence, approval.actor)
        done = self.ledger.promotion_of(version) if self.ledger.champion() == version else None
        if done is not None:
            return done
        try:
            return self.ledger.append(entry, expected_champion=waiting.version_before)
        except (RolledBackError, SupersededError) as error:
            # Of two concurrent approvals, one promotes; the other has nothing left to do.
            done = self.ledger.promotion_of(version) if self.ledger.champion() == version else None
            if done is None:
                raise DeploymentError(f"approval of version {version}: {error}") from error
            return done
