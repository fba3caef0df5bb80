"""Rollback: a previous champion replaces one that turned out to be bad, in one step and without training.

Like a promotion, a rollback is a compare-and-set on the ledger. Its record marks the bad version and its challenger, so
that neither is promoted again; the alias, the tags and the serving targets are derived from it, and a repeated step
completes what a killed one began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.serving import DEFAULT_TARGETS, is_served, serve_champion, targets_named
from evergreen.deployment.targets import open_targets
from evergreen.registry.champion import open_ledger
from evergreen.registry.errors import SupersededError
from evergreen.registry.head import keep_head_noted
from evergreen.registry.ledger import NO_CHAMPION, Entry
from evergreen.registry.record import ROLLBACK
from evergreen.registry.rollback_target import last_good
from evergreen.registry.versions import CHALLENGER_TAG, ROLLED_BACK_TAG, ModelRegistry
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.deployment.targets import ServingTarget
    from evergreen.registry.ledger import Ledger, LedgerRecord

PREVIOUS = "previous"
ROLLED_BACK = "rolled back"
ALREADY = "already rolled back"


@dataclass(frozen=True)
class RollbackRequest:
    """Which model to roll back, to which version, and why.

    Attributes:
        model_name: Name of the registered model.
        reason: The reason, in words that are still understandable in a year.
        to_version: A previous champion, or ``previous`` for the last good one.
        from_version: The bad version: nothing happens if it is no longer the champion. ``none`` rolls back the current champion.
        targets: Comma-separated serving targets; ``default`` for those of the champion's promotion.
        actor: Who requested the rollback.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
    """

    model_name: str
    reason: str
    to_version: str = PREVIOUS
    from_version: str = "none"
    targets: str = DEFAULT_TARGETS
    actor: str = "pipeline"
    run_id: str = "none"
    step_name: str = "roll_back_model"


@dataclass(frozen=True)
class Rollback:
    """The result of a rollback.

    Attributes:
        outcome: ``rolled back`` or ``already rolled back``.
        model_name: Name of the registered model.
        bad_version: The version that was rolled back.
        champion_after: The current champion.
        reason: The reason.
        ledger_record: Number of the ledger record.
        sentence: The outcome in one sentence.
    """

    outcome: str
    model_name: str
    bad_version: str
    champion_after: str
    reason: str
    ledger_record: int
    sentence: str


def roll_back(request: RollbackRequest, *, tracking_uri: str, ledger_uri: str) -> Rollback:
    """Make a previous champion the champion again.

    Args:
        request: Which model, to which version, and why.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket of the ledger.

    Returns:
        The result of the rollback.

    Raises:
        DeploymentError: There is no reason, ledger, champion or version to roll back to, or the champion was changed in the meantime.
        RegistryError: The version to roll back to is not in the registry.
        LedgerError: The end of the ledger was cut off or rewritten.
        StateError: The server or the ledger cannot be used.
    """
    if is_nothing(request.reason):
        raise DeploymentError(f"rollback of model {request.model_name!r}: the reason is {request.reason!r}; expected text. Give a reason.")
    ledger = open_ledger(ledger_uri, request.model_name)
    if ledger is None:
        raise DeploymentError(
            f"rollback of model {request.model_name!r}: state_ledger_uri is {ledger_uri!r}, but a rollback needs the ledger. Set it to its folder."
        )
    registry = ModelRegistry(tracking_uri, request.model_name)
    keep_head_noted(registry, ledger)
    names = targets_named(request.targets, ledger)
    return _RollbackWork(request, registry, ledger, names, open_targets(names, registry)).run()


@dataclass(frozen=True)
class _RollbackWork:
    request: RollbackRequest
    registry: ModelRegistry
    ledger: Ledger
    target_names: str
    targets: list[ServingTarget]

    def run(self) -> Rollback:
        earlier = self._earlier_rollback()
        if earlier is not None:
            return self._finished(earlier, ALREADY)
        bad = self._champion()
        good = self._last_good(bad) if self.request.to_version == PREVIOUS else self._named(bad)
        bad_version = self.registry.version(bad)
        self.registry.version(good)
        for target in self.targets:
            target.stage(good)
        sentence = f"Version {bad} was rolled back to version {good}: {self.request.reason}"
        entry = Entry(
            kind=ROLLBACK,
            version_after=good,
            run_id=self.request.run_id,
            step_name=self.request.step_name,
            challenger_id=str(bad_version.tags.get(CHALLENGER_TAG, "")),
            evidence={"reason": self.request.reason, "bad_version": bad, "targets": self.target_names, "sentence": sentence},
            actor=self.request.actor,
        )
        try:
            record = self.ledger.append(entry, expected_champion=bad)
        except SupersededError as error:
            raise DeploymentError(
                f"rollback of model {self.request.model_name!r}: cannot roll back version {bad}, because version {self.ledger.champion()} is now the "
                "champion. Nothing was rolled back by this step; check `evergreen history`."
            ) from error
        return self._finished(record, ROLLED_BACK)

    def _earlier_rollback(self) -> LedgerRecord | None:
        """Return the rollback recorded by this step or by an earlier command that was killed, if it is still in effect."""
        head = next((record for record in self.ledger.newest_first() if record.changed_champion()), None)
        if head is None or head.kind != ROLLBACK:
            return None
        same_step = self.request.run_id != "none" and (head.run_id, head.step_name) == (self.request.run_id, self.request.step_name)
        asked_for = self.request.from_version == head.version_before or self.request.to_version == head.version_after
        return head if same_step or asked_for or not is_served(head.version_after, self.targets) else None

    def _champion(self) -> str:
        champion = self.ledger.champion()
        if champion == NO_CHAMPION:
            raise DeploymentError(f"rollback of model {self.request.model_name!r}: the ledger records no champion, so there is nothing to roll back.")
        if self.request.from_version not in (NO_CHAMPION, champion):
            raise DeploymentError(
                f"rollback of model {self.request.model_name!r}: cannot roll back version {self.request.from_version}, because the champion is version "
                f"{champion}. Nothing was rolled back; check `evergreen history`."
            )
        return champion

    def _last_good(self, bad: str) -> str:
        good = last_good(self.ledger.newest_first(), bad)
        if good is None:
            raise DeploymentError(
                f"rollback of model {self.request.model_name!r}: there is no previous champion before version {bad} that was not rolled back. "
                "Retrain instead: run the pipeline with policy_mode=force."
            )
        return good

    def _named(self, bad: str) -> str:
        version = self.request.to_version
        thing = f"rollback of model {self.request.model_name!r} to version {version}"
        if version == bad:
            raise DeploymentError(f"{thing}: it is the champion. Name a previous champion, or omit --to for the last good one.")
        taken_back = self.ledger.rollback_of(version=version)
        if taken_back is not None:
            raise DeploymentError(
                f"{thing}: it was itself rolled back in ledger record {taken_back.number} ({taken_back.evidence.get('reason')}). "
                "Name a version that was not rolled back."
            )
        if not any(version in (record.version_before, record.version_after) for record in self.ledger.newest_first()):
            raise DeploymentError(f"{thing}: it was never the champion. Name a previous champion; `evergreen history` lists them.")
        return version

    def _finished(self, record: LedgerRecord, outcome: str) -> Rollback:
        bad = record.version_before
        self.registry.tag_version(bad, ROLLED_BACK_TAG, f"ledger record {record.number}: {record.evidence.get('reason', '')}"[:5000])
        served = serve_champion(record.version_after, registry=self.registry, ledger=self.ledger, targets=self.targets)
        return Rollback(
            outcome=outcome,
            model_name=self.request.model_name,
            bad_version=bad,
            champion_after=served,
            reason=str(record.evidence.get("reason", "")),
            ledger_record=record.number,
            sentence=str(record.evidence.get("sentence", "")),
        )
