"""The way back to the last good version, and that the bad one stays away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.rollback import Rollback, RollbackRequest, roll_back
from evergreen.deployment.targets import RegistryTarget
from evergreen.registry.errors import LedgerError, RolledBackError
from evergreen.registry.ledger import Entry
from support.local_runs import run_file
from support.registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from support.registry_fixtures import World


def back(world: World, **settings: Any) -> Rollback:
    request = RollbackRequest(world.model_name, **{"reason": "it crashes", "run_id": "back-1", **settings})
    return roll_back(request, tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri)


@pytest.fixture
def two(world: World) -> World:
    """Version 1 was the champion, version 2 is."""
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    return world


def test_the_last_good_version_serves_again_and_the_bad_one_is_marked(two: World) -> None:
    result = back(two)
    assert (result.outcome, result.bad_version, result.champion_after, result.ledger_record) == ("rolled back", "2", "1", 3)
    assert result.sentence == "Version 2 was rolled back to version 1: it crashes"
    assert two.state() == (["1", "2"], "1", ["promotion", "promotion", "rollback"])
    record = two.ledger.records()[-1]
    assert (record.version_before, record.version_after, record.challenger_id, record.evidence["reason"]) == ("2", "1", "id-b", "it crashes")
    assert two.tags("2")["evergreen.rolled_back"] == "ledger record 3: it crashes"
    assert "evergreen.rolled_back" not in two.tags("1")
    assert two.ledger.verify(two.client.get_registered_model("rain").tags["evergreen.ledger_head"]) == []


def test_the_same_step_again_changes_nothing(two: World) -> None:
    back(two)
    before = two.state(), ledger_bytes(two)
    assert back(two).outcome == "already rolled back"
    assert (two.state(), ledger_bytes(two)) == before


@pytest.mark.parametrize("place", ["registry.versions.ModelRegistry.tag_version", "deployment.targets.RegistryTarget.finish"])
def test_a_command_that_was_killed_after_its_record_is_finished_and_not_done_twice(two: World, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(RegistryTarget, "stage", lambda *_: None)  # it tags, too, and is not what is killed here
        killed.setattr(f"evergreen.{place}", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            back(two, run_id="none")
    assert (two.ledger.champion(), two.alias()) == ("1", "2")
    assert back(two, run_id="none").outcome == "already rolled back"
    assert two.state() == (["1", "2"], "1", ["promotion", "promotion", "rollback"])
    assert two.tags("2")["evergreen.rolled_back"] == "ledger record 3: it crashes"


def test_a_challenger_that_was_rolled_back_is_not_promoted_again(two: World) -> None:
    bad = two.passed(two.challenger("b-again", weights=1))
    object.__setattr__(bad.description, "challenger_id", "id-b")
    back(two)
    before = two.state(), ledger_bytes(two)
    with pytest.raises(DeploymentError, match=r"version 2, made from challenger id-b, was rolled back by ledger record 3 \(it crashes\) and cannot"):
        two.promote(bad, "1", run="run-3")
    assert (two.state(), ledger_bytes(two)) == before


def test_the_ledger_itself_refuses_what_was_rolled_back(two: World) -> None:
    back(two)
    before = ledger_bytes(two)
    for entry in (Entry("promotion", "2", challenger_id="other"), Entry("promotion", "7", challenger_id="id-b")):
        with pytest.raises(RolledBackError, match=r"was rolled back by ledger record 3"):
            two.ledger.append(entry, expected_champion="1")
    assert ledger_bytes(two) == before


def test_the_step_that_promoted_the_bad_version_does_not_bring_it_back_when_it_is_retried(two: World) -> None:
    bad = two.passed(two.challenger("b-again", weights=1))
    object.__setattr__(bad.description, "challenger_id", "id-b")
    back(two)
    with pytest.raises(DeploymentError, match=r"compared with version 1, but|was rolled back by ledger record 3"):
        two.promote(bad, "1", run="run-2")
    assert two.state() == (["1", "2"], "1", ["promotion", "promotion", "rollback"])


def test_another_challenger_is_promoted_after_a_rollback(two: World) -> None:
    back(two)
    assert two.promote(two.passed(two.challenger("c")), "1", run="run-3").outcome == "promoted"
    assert (two.alias(), two.ledger.champion()) == ("3", "3")


def test_the_next_way_back_passes_over_what_was_rolled_back(two: World) -> None:
    back(two)
    two.promote(two.passed(two.challenger("c")), "1", run="run-3")
    assert back(two, run_id="back-2").champion_after == "1"
    before = two.state()
    with pytest.raises(DeploymentError, match=r"there is no previous champion before version 1 that was not rolled back. Retrain instead"):
        back(two, run_id="back-3")
    assert two.state() == before


def test_a_named_version_is_gone_back_to(two: World) -> None:
    two.promote(two.passed(two.challenger("c")), "2", run="run-3")
    assert back(two, to_version="1").champion_after == "1"
    assert two.alias() == "1"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"to_version": "2"}, "to version 2: it is the champion"),
        ({"to_version": "9"}, "to version 9: it was never the champion"),
        ({"from_version": "1"}, "cannot roll back version 1, because the champion is version 2"),
        ({"reason": " "}, "the reason is ' '; expected text"),
        ({"targets": "moon"}, "Unknown target 'moon'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(two: World, settings: dict[str, str], told: str) -> None:
    before = two.state(), ledger_bytes(two), two.tags("1"), two.tags("2")
    with pytest.raises(DeploymentError, match=told):
        back(two, **settings)
    assert (two.state(), ledger_bytes(two), two.tags("1"), two.tags("2")) == before


def test_a_version_that_was_rolled_back_is_not_gone_back_to(two: World) -> None:
    back(two)
    two.promote(two.passed(two.challenger("c")), "1", run="run-3")
    with pytest.raises(DeploymentError, match=r"to version 2: it was itself rolled back in ledger record 3 \(it crashes\)"):
        back(two, run_id="back-2", to_version="2")
    assert two.alias() == "3"


def test_without_a_ledger_or_a_champion_there_is_no_way_back(world: World) -> None:
    with pytest.raises(DeploymentError, match="the ledger records no champion"):
        back(world)
    with pytest.raises(DeploymentError, match="state_ledger_uri is 'none', but a rollback needs the ledger"):
        roll_back(RollbackRequest("rain", "it crashes"), tracking_uri=world.tracking_uri, ledger_uri="none")
    assert world.state() == ([], None, [])


def test_a_ledger_whose_end_was_cut_off_is_not_built_upon(two: World) -> None:
    (next(iter(two.folder.joinpath("state/ledger/rain").glob("00000002.json")))).unlink()
    before = two.state(), ledger_bytes(two)
    with pytest.raises(LedgerError, match=r"the registry notes record 2 as written, but the ledger's newest is record 1: its end was cut off"):
        back(two)
    with pytest.raises(LedgerError, match=r"the registry notes record 2 as written"):
        two.promote(two.passed(two.challenger("c")), "1", run="run-3")
    assert (two.state(), ledger_bytes(two)) == before


def test_the_pipeline_rolls_back(two: World, repository: Path) -> None:
    given = {"model_name": "rain", "rollback_reason": "it crashes", "state_tracking_uri": two.tracking_uri, "state_ledger_uri": two.ledger_uri}
    finished = run_file(repository / "pipelines" / "rollback.py", given, two.folder / "home")
    assert (finished.failure, [record.outcome for record in finished.records]) == ("", ["rolled back"])
    assert two.state() == (["1", "2"], "1", ["promotion", "promotion", "rollback"])
    assert finished.records[0].details["champion_after"] == "1"
