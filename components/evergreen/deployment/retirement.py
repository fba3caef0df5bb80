"""Retirement: old versions are archived by age, use and rank; the champion and what a rollback would go back to never are.

An archived version keeps its files in the registry, so that it can still be audited; it is marked, and taken out of the
buckets it was published to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from evergreen.data.times import parse_time
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.serving import targets_named
from evergreen.deployment.targets import STAGE_TAG, open_targets
from evergreen.registry.champion import open_ledger
from evergreen.registry.errors import SupersededError
from evergreen.registry.head import keep_head_noted
from evergreen.registry.ledger import NO_CHAMPION, Entry
from evergreen.registry.record import RETIREMENT
from evergreen.registry.rollback_target import last_good
from evergreen.registry.versions import APPROVAL_TAG, RETIRED_TAG, ModelRegistry

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from evergreen.registry.ledger import Ledger, LedgerRecord

RETIRED = "retired already"


@dataclass(frozen=True)
class RetirementPolicy:
    """Which versions stay.

    Attributes:
        keep: So many of the newest versions stay.
        older_than_days: Days for which a version stays after it was registered or was the champion last.
    """

    keep: int
    older_than_days: float

    def check(self) -> None:
        """See that the numbers make sense.

        Raises:
            DeploymentError: One does not.
        """
        if self.keep < 0 or not self.older_than_days >= 0:
            raise DeploymentError(f"retirement: keep {self.keep} and older than {self.older_than_days} days; expected numbers from 0 on. Correct them.")


@dataclass(frozen=True)
class Verdict:
    """What becomes of a version.

    Attributes:
        version: The version.
        unused_days: Days since it was registered or was the champion last.
        retire: Whether it is archived.
        reason: Why it is, or why it stays.
    """

    version: str
    unused_days: float
    retire: bool
    reason: str


@dataclass
class Retirement:
    """What a policy says about a model's versions, and whether that was done.

    Attributes:
        model_name: Name of the registered model.
        applied: Whether it was done; a dry run changes nothing.
        verdicts: One for each version, the newest first.
        ledger_record: Number of the ledger's record; None when there was nothing to record.
    """

    model_name: str
    applied: bool
    verdicts: list[Verdict] = field(default_factory=list)
    ledger_record: int | None = None


def retire(model_name: str, policy: RetirementPolicy, *, targets: str, actor: str, tracking_uri: str, ledger_uri: str, apply: bool) -> Retirement:
    """Archive the versions that a policy lets go.

    Args:
        model_name: Name of the registered model.
        policy: Which versions stay.
        targets: Comma-separated serving targets from which archived versions are taken; ``default`` for those of the champion.
        actor: Who does it.
        tracking_uri: The MLflow server.
        ledger_uri: Folder or bucket of the ledger.
        apply: False for a dry run.

    Raises:
        DeploymentError: The policy makes no sense, there is no ledger, or the champion changed meanwhile.
        LedgerError: The ledger's end was cut off or rewritten.
        StateError: The server or the ledger cannot be used.
    """
    policy.check()
    ledger = open_ledger(ledger_uri, model_name)
    if ledger is None:
        raise DeploymentError(
            f"retirement of model {model_name!r}: state_ledger_uri is {ledger_uri!r}; who was the champion is in the ledger. Name its folder."
        )
    registry = ModelRegistry(tracking_uri, model_name)
    keep_head_noted(registry, ledger)
    records = list(ledger.newest_first())
    verdicts = judge(registry.all_versions(), records, policy, alias=registry.alias_version())
    result = Retirement(model_name, apply, verdicts)
    if apply:
        result.ledger_record = _archive(registry, ledger, records, verdicts, policy=policy, targets=targets, actor=actor)
    return result


def judge(versions: list[ModelVersion], records: list[LedgerRecord], policy: RetirementPolicy, *, alias: str | None = None) -> list[Verdict]:
    """Return what becomes of each version, the newest first.

    Args:
        versions: All versions of the model.
        records: All records of its ledger, the newest first.
        policy: Which versions stay.
        alias: The version behind the registry's alias, which stays, too, whatever the ledger says.
    """
    champion = records[0].version_after if records else NO_CHAMPION
    target = last_good(records, champion)
    ranked = sorted(versions, key=lambda version: int(version.version), reverse=True)
    last_used = {record.version_before: record.time for record in reversed(records) if record.changed_champion()}
    now = datetime.now(timezone.utc)
    verdicts = []
    for rank, found in enumerate(ranked, 1):
        version = str(found.version)
        registered = datetime.fromtimestamp(found.creation_timestamp / 1000, timezone.utc)
        used = parse_time(last_used[version]) if version in last_used else registered
        unused = max(now - max(registered, used), timedelta(0)) / timedelta(days=1)
        reasons = {
            "the champion": version in (champion, alias),
            "what a rollback goes back to": version == target,
            "it waits for approval": found.tags.get(APPROVAL_TAG) in ("waiting", "approved"),
            "it is being deployed": STAGE_TAG in found.tags and unused < 1,
            RETIRED: RETIRED_TAG in found.tags,
            f"one of the newest {policy.keep}": rank <= policy.keep,
            f"used within {policy.older_than_days:g} days": unused < policy.older_than_days,
        }
        kept = next((reason for reason, holds in reasons.items() if holds), None)
        verdicts.append(Verdict(version, round(unused, 1), kept is None, kept or f"not used for {unused:.0f} days, and {rank - 1} versions are newer"))
    return verdicts


def _archive(
    registry: ModelRegistry, ledger: Ledger, records: list[LedgerRecord], verdicts: list[Verdict], *, policy: RetirementPolicy, targets: str, actor: str
) -> int | None:
    opened = open_targets(targets_named(targets, ledger), registry)
    going = [verdict.version for verdict in verdicts if verdict.retire]
    # A killed attempt has recorded versions that are not marked yet: they are archived now, and not recorded twice.
    recorded = {str(version): record.number for record in records if record.kind == RETIREMENT for version in record.evidence.get("versions", [])}
    fresh = [version for version in going if version not in recorded]
    number = None
    if fresh:
        sentence = f"Retired {', '.join(f'version {version}' for version in fresh)}: unused for {policy.older_than_days:g} days, newest {policy.keep} kept."
        entry = Entry(RETIREMENT, step_name="evergreen retire", evidence={"versions": fresh, "sentence": sentence}, actor=actor)
        champion = records[0].version_after if records else NO_CHAMPION
        try:
            number = ledger.append(entry, expected_champion=champion).number
        except SupersededError as error:
            raise DeploymentError(
                f"retirement of model {registry.model_name!r}: the champion changed from version {champion} meanwhile. Nothing was retired; run it again."
            ) from error
    for version in going:
        for target in opened:
            target.prune(version)
        registry.tag_version(version, RETIRED_TAG, f"ledger record {recorded.get(version, number)}")
    keep_head_noted(registry, ledger)
    return number
