"""Retirement: archives old versions by age, use and rank, but never the champion or the rollback target.

The files of an archived version remain in the registry, so that it can still be audited; the version is tagged and removed
from the buckets it was published to.
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
    """Which versions to keep.

    Attributes:
        keep: Number of newest versions to keep.
        older_than_days: Days for which a version is kept after it was registered or was last the champion.
    """

    keep: int
    older_than_days: float

    def check(self) -> None:
        """Validate the numbers.

        Raises:
            DeploymentError: A number is invalid.
        """
        if self.keep < 0 or not self.older_than_days >= 0:
            raise DeploymentError(f"retirement: keep {self.keep} and older than {self.older_than_days} days; expected numbers of at least 0. Correct them.")


@dataclass(frozen=True)
class Verdict:
    """Whether a version is retired.

    Attributes:
        version: The version.
        unused_days: Days since it was registered or was last the champion.
        retire: Whether it is archived.
        reason: Why it is archived or kept.
    """

    version: str
    unused_days: float
    retire: bool
    reason: str


@dataclass
class Retirement:
    """A policy's verdicts on the versions of a model, and whether they were applied.

    Attributes:
        model_name: Name of the registered model.
        applied: Whether the verdicts were applied; a dry run changes nothing.
        verdicts: One verdict per version, newest first.
        ledger_record: Number of the ledger record; None if there was nothing to record.
    """

    model_name: str
    applied: bool
    verdicts: list[Verdict] = field(default_factory=list)
    ledger_record: int | None = None


def retire(model_name: str, policy: RetirementPolicy, *, targets: str, actor: str, tracking_uri: str, ledger_uri: str, apply: bool) -> Retirement:
    """Archive the versions that a policy does not keep.

    Args:
        model_name: Name of the registered model.
        policy: Which versions to keep.
        targets: Comma-separated serving targets to remove archived versions from; ``default`` for those of the champion.
        actor: Who requested the retirement.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket of the ledger.
        apply: False for a dry run.

    Raises:
        DeploymentError: The policy is invalid, there is no ledger, or the champion changed in the meantime.
        LedgerError: The end of the ledger was cut off or rewritten.
        StateError: The server or the ledger cannot be used.
    """
    policy.check()
    ledger = open_ledger(ledger_uri, model_name)
    if ledger is None:
        raise DeploymentError(
            f"retirement of model {model_name!r}: state_ledger_uri is {ledger_uri!r}, but past champions are recorded in the ledger. Set it to its folder."
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
    """Return a verdict on each version, newest first.

    Args:
        versions: All versions of the model.
        records: All records of its ledger, newest first.
        policy: Which versions to keep.
        alias: The version behind the registry's alias, which is always kept, whatever the ledger says.
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
            "the rollback target": version == target,
            "waiting for approval": found.tags.get(APPROVAL_TAG) in ("waiting", "approved"),
            "being deployed": STAGE_TAG in found.tags and unused < 1,
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
    # A killed attempt may have recorded versions that are not tagged yet: they are archived now, but not recorded twice.
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
                f"retirement of model {registry.model_name!r}: the champion is no longer version {champion}. Nothing was retired; run the command again."
            ) from error
    for version in going:
        for target in opened:
            target.prune(version)
        registry.tag_version(version, RETIRED_TAG, f"ledger record {recorded.get(version, number)}")
    keep_head_noted(registry, ledger)
    return number
