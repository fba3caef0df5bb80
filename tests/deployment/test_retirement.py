"""Which versions are archived, and which never are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.retirement import Retirement, RetirementPolicy, judge, retire
from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.models.fitted import FittedModel
from evergreen.registry.versions import ModelRegistry
from support.registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from evergreen.deployment.challenger import PassedChallenger
    from support.registry_fixtures import World


def as_another(challenger: PassedChallenger, name: str) -> PassedChallenger:
    return replace(challenger, model=FittedModel(challenger.model.pipeline, replace(challenger.description, challenger_id=name)))


@pytest.fixture
def five(world: World) -> World:
    """Five champions after each other."""
    challenger = world.passed(world.challenger("a"))
    for number in range(5):
        world.promote(as_another(challenger, f"id-{number}"), str(number) if number else "none", run=f"run-{number}")
    return world


def go(world: World, keep: int = 0, older_than: float = 0.0, *, apply: bool = True) -> Retirement:
    policy = RetirementPolicy(keep, older_than)
    return retire("rain", policy, targets="registry", actor="Ada", tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri, apply=apply)


def retired(result: Retirement) -> list[str]:
    return [verdict.version for verdict in result.verdicts if verdict.retire]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(five: World) -> None:
    before = five.state(), ledger_bytes(five), [five.tags(version) for version in five.versions()]
    result = go(five, apply=False)
    assert (retired(result), result.applied, result.ledger_record) == (["3", "2", "1"], False, None)
    assert {verdict.version: verdict.reason for verdict in result.verdicts if not verdict.retire} == {"5": "the champion", "4": "the rollback target"}
    assert (five.state(), ledger_bytes(five), [five.tags(version) for version in five.versions()]) == before


def test_old_versions_are_marked_and_recorded_and_everything_still_serves(five: World) -> None:
    result = go(five, keep=3)
    assert retired(result) == ["2", "1"]
    record = five.ledger.records()[-1]
    assert (record.number, record.kind, record.actor, record.version_after) == (result.ledger_record, "retirement", "Ada", "5")
    assert record.evidence["versions"] == ["2", "1"]
    assert [version for version in five.versions() if "evergreen.retired" in five.tags(version)] == ["1", "2"]
    assert five.versions() == ["1", "2", "3", "4", "5"]
    assert five.alias() == "5"
    assert five.ledger.verify(five.client.get_registered_model("rain").tags["evergreen.ledger_head"]) == []
    assert roll_back(RollbackRequest("rain", "bad"), tracking_uri=five.tracking_uri, ledger_uri=five.ledger_uri).champion_after == "4"


def test_what_a_killed_retirement_left_is_done_by_the_next_one_and_recorded_once(five: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(ModelRegistry, "tag_version", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            go(five)
    assert go(five).ledger_record is None
    assert [record.kind for record in five.ledger.records()].count("retirement") == 1
    assert five.tags("1")["evergreen.retired"] == "ledger record 6"
    assert retired(go(five)) == []


def test_after_a_rollback_its_target_is_kept_and_the_bad_version_may_go(five: World) -> None:
    roll_back(RollbackRequest("rain", "bad"), tracking_uri=five.tracking_uri, ledger_uri=five.ledger_uri)
    kept = {verdict.version: verdict.reason for verdict in go(five).verdicts if not verdict.retire}
    assert kept == {"4": "the champion", "3": "the rollback target"}


def test_a_version_that_waits_is_kept(world: World) -> None:
    world.promote(world.passed(world.challenger("a")), approval="required")
    assert [(verdict.version, verdict.reason) for verdict in go(world).verdicts] == [("1", "waiting for approval")]


def test_age_counts_from_the_last_day_in_office() -> None:
    def days_ago(days: float) -> datetime:
        return datetime.now(timezone.utc) - timedelta(days=days)

    def version(number: int, days: float) -> Any:
        return SimpleNamespace(version=str(number), creation_timestamp=days_ago(days).timestamp() * 1000, tags={})

    def change(before: str, after: str, days: float) -> Any:
        return SimpleNamespace(kind="promotion", version_before=before, version_after=after, time=days_ago(days).isoformat(), changed_champion=lambda: True)

    records = [change("3", "4", 1), change("2", "3", 5), change("1", "2", 50), change("none", "1", 300)]
    verdicts = judge([version(1, 300), version(2, 60), version(3, 6), version(4, 2)], records, RetirementPolicy(0, 30))
    assert [(verdict.version, verdict.retire, round(verdict.unused_days)) for verdict in verdicts] == [
        ("4", False, 2),
        ("3", False, 1),
        ("2", False, 5),
        ("1", True, 50),
    ]
    assert verdicts[3].reason == "not used for 50 days, and 3 versions are newer"


@pytest.mark.parametrize(("keep", "older_than"), [(-1, 0.0), (0, -1.0), (0, float("nan"))])
def test_a_policy_without_sense_is_refused(five: World, keep: int, older_than: float) -> None:
    before = five.state()
    with pytest.raises(DeploymentError, match=r"expected numbers of at least 0"):
        go(five, keep, older_than)
    assert five.state() == before


def test_the_command_is_a_dry_run_until_it_is_told_to_apply(five: World) -> None:
    words = ["retire", "rain", "--keep", "2", "--older-than", "0", "--tracking-uri", five.tracking_uri, "--ledger-uri", five.ledger_uri]
    said = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert "Dry run: 3 versions would be retired; nothing was changed. Add --apply to retire them." in said
    assert "3 versions retired." in CliRunner().invoke(app, [*words, "--apply"], catch_exceptions=False).stdout
    assert [version for version in five.versions() if "evergreen.retired" in five.tags(version)] == ["1", "2", "3"]
