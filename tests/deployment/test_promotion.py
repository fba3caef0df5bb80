"""Promotion against a real registry: what it does, and what it leaves when it is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evergreen.data.artifacts import read_json
from evergreen.deployment.errors import DeploymentError
from evergreen.models.trust import ModelError
from support.registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from support.registry_fixtures import World


def test_the_first_challenger_becomes_champion(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    result = world.promote(challenger)
    assert (result.outcome, result.version, result.champion_before, result.champion_after, result.ledger_record) == ("promoted", "1", "none", "1", 1)
    assert result.model_uri == challenger.model_uri
    assert result.sentence == "Version 1 was promoted as the first champion. The challenger is better."
    assert [check.passed for check in result.checks] == [True, True, True]
    assert world.state() == (["1"], "1", ["promotion"])
    record = world.ledger.records()[0]
    assert (record.version_before, record.version_after, record.challenger_id, record.run_id) == ("none", "1", "id-a", "run-1")
    assert record.evidence["challenger_score"] == 0.9
    assert record.evidence["data_fingerprint"] == "f-1"
    assert "check_rows" not in record.evidence
    assert world.tags("1")["evergreen.challenger_id"] == "id-a"
    assert "evergreen.stage" not in world.tags("1")
    assert world.client.get_registered_model("rain").tags["evergreen.ledger_head"] == f"1:{record.hash}"


def test_a_second_challenger_takes_the_place_of_the_first(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    result = world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    assert (result.outcome, result.version, result.champion_before, result.champion_after) == ("promoted", "2", "1", "2")
    assert result.sentence.startswith("Version 2 was promoted instead of version 1.")
    assert world.state() == (["1", "2"], "2", ["promotion", "promotion"])
    assert world.ledger.verify(noted_head=world.client.get_registered_model("rain").tags["evergreen.ledger_head"]) == []


def test_the_same_step_again_changes_nothing_and_says_promoted(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    first = world.promote(challenger)
    before = world.state(), ledger_bytes(world)
    again = world.promote(challenger)
    assert (again.outcome, again.version, again.champion_before, again.champion_after, again.ledger_record) == ("promoted", first.version, "none", "1", 1)
    assert (world.state(), ledger_bytes(world)) == before


def test_the_same_challenger_in_another_run_is_champion_already(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    world.promote(challenger)
    before = world.state(), ledger_bytes(world)
    again = world.promote(challenger, "1", run="run-2")
    assert (again.outcome, again.champion_before, again.champion_after) == ("already champion", "1", "1")
    assert (world.state(), ledger_bytes(world)) == before


def test_a_challenger_that_was_compared_with_a_former_champion_is_superseded(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    late = world.passed(world.challenger("c"))
    before = world.state(), ledger_bytes(world)
    with pytest.raises(DeploymentError, match=r"model 'rain': superseded.*compared with version 1, but the champion is now version 2.*Nothing was promoted"):
        world.promote(late, "1", run="run-3")
    assert (world.state(), ledger_bytes(world)) == before


def test_a_champion_that_appeared_where_none_was_expected_supersedes(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    with pytest.raises(DeploymentError, match=r"compared with version none, but the champion is now version 1"):
        world.promote(world.passed(world.challenger("b")), "none", run="run-2")
    assert world.state() == (["1"], "1", ["promotion"])


def test_of_two_promotions_at_once_exactly_one_wins(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    challengers = [world.passed(world.challenger(name)) for name in ("b", "c")]

    def run(number: int) -> str:
        try:
            return world.promote(challengers[number], "1", run=f"race-{number}").version
        except DeploymentError as error:
            return "lost" if "superseded" in str(error) else str(error)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, range(2)))
    assert results.count("lost") == 1
    winner = next(version for version in results if version != "lost")
    assert world.alias() == world.ledger.champion() == winner
    assert [record.kind for record in world.ledger.records()] == ["promotion", "promotion"]
    assert world.ledger.verify() == []
    for version in world.versions():
        assert "evergreen.stage" not in world.tags(version)


def test_two_attempts_at_the_same_challenger_at_once_promote_it_once(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda run: world.promote(challenger, run=run).outcome, ("one", "other")))
    assert set(results) <= {"promoted", "already champion"}
    assert "promoted" in results
    assert [record.version_after for record in world.ledger.records()] == [world.alias()]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "step",
    [
        "evergreen.registry.versions.ModelRegistry.add_evidence",
        "evergreen.registry.versions.ModelRegistry.register",
        "evergreen.deployment.promotion.smoke_test",
        "evergreen.deployment.targets.RegistryTarget.stage",
        "evergreen.registry.ledger.Ledger.append",
        "evergreen.registry.versions.ModelRegistry.move_alias",
        "evergreen.deployment.targets.RegistryTarget.finish",
        "evergreen.registry.versions.ModelRegistry.note_ledger_head",
    ],
)
def test_a_promotion_that_was_killed_anywhere_is_completed_by_running_it_again(world: World, monkeypatch: pytest.MonkeyPatch, step: str, moment: str) -> None:
    from pkgutil import resolve_name

    challenger = world.passed(world.challenger("a"))
    act = resolve_name(step)

    def killed(*given: object, **named: object) -> None:
        if moment == "after":
            act(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(step, killed)
        with pytest.raises(KeyboardInterrupt):
            world.promote(challenger)
    assert world.alias() in (None, world.ledger.champion())
    result = world.promote(challenger)
    assert (result.outcome, result.version, result.champion_before, result.ledger_record) == ("promoted", "1", "none", 1)
    assert world.state() == (["1"], "1", ["promotion"])
    assert "evergreen.stage" not in world.tags("1")
    head = world.ledger.head()
    assert head is not None
    assert world.client.get_registered_model("rain").tags["evergreen.ledger_head"] == f"1:{head.hash}"


def test_a_dry_run_touches_neither_registry_nor_ledger(world: World) -> None:
    result = world.promote(world.passed(world.challenger("a")), mode="dry-run")
    assert (result.outcome, result.version, result.champion_after) == ("dry run", "none", "none")
    assert result.sentence == "Dry run: the challenger passed the gate and would be promoted; nothing was registered."
    assert world.client.search_registered_models() == []
    assert ledger_bytes(world) == {}


def test_force_promotes_as_auto_does(world: World) -> None:
    assert world.promote(world.passed(world.challenger("a")), mode="force").outcome == "promoted"
    assert world.alias() == "1"


def test_what_waits_for_approval_is_registered_and_not_served(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    challenger = world.passed(world.challenger("b", weights=1))
    result = world.promote(challenger, "1", run="run-2", approval="required")
    assert (result.outcome, result.version, result.champion_before, result.champion_after, result.ledger_record) == ("waiting for approval", "2", "1", "1", 2)
    assert result.sentence == "Version 2 passed the gate and is waiting for approval; the champion is still version 1."
    assert world.state() == (["1", "2"], "1", ["promotion", "waiting for approval"])
    assert world.tags("2")["evergreen.approval"] == "waiting"
    assert world.promote(challenger, "1", run="run-2", approval="required").ledger_record == 2
    approved = world.promote(challenger, "1", run="run-3")
    assert (approved.outcome, approved.version) == ("promoted", "2")
    assert world.state() == (["1", "2"], "2", ["promotion", "waiting for approval", "promotion"])
    assert "evergreen.approval" not in world.tags("2")


def test_without_a_ledger_the_alias_alone_decides(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    assert world.promote(challenger, ledger=False).ledger_record is None
    assert world.promote(challenger, "1", ledger=False).outcome == "already champion"
    with pytest.raises(DeploymentError, match="superseded"):
        world.promote(world.passed(world.challenger("b")), "none", ledger=False)
    assert world.state() == (["1"], "1", [])


def test_a_champion_from_before_the_ledger_is_replaced_and_the_ledger_begins(world: World) -> None:
    world.promote(world.passed(world.challenger("a")), ledger=False)
    result = world.promote(world.passed(world.challenger("b")), "1", run="run-2")
    assert (result.outcome, result.champion_before, result.champion_after) == ("promoted", "1", "2")
    assert world.state() == (["1", "2"], "2", ["promotion"])


def test_an_unknown_word_is_refused_before_anything_is_done(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    for settings, told in (
        ({"approval": "maybe"}, r"deployment_approval 'maybe'. Valid values: automatic, required. Correct the parameter"),
        ({"mode": "dry run"}, r"policy_mode 'dry run'. Valid modes: auto, force, dry-run. Correct the parameter"),
        ({"targets": "registry, moon"}, r"Unknown target 'moon' in deployment_targets 'registry, moon'. Valid targets: registry"),
        ({"targets": " , "}, r"Unknown target '' in deployment_targets ' , '"),
    ):
        for mode in ("auto", "dry-run"):
            with pytest.raises(DeploymentError, match=told):
                world.promote(challenger, **{"mode": mode, **settings})
    assert world.state() == ([], None, [])


def test_a_challenger_that_did_not_pass_the_gate_is_refused(world: World) -> None:
    inputs = world.challenger("a")
    for verdict in ("reject", None, "Promote"):
        with pytest.raises(DeploymentError, match=rf"evaluation: .*verdict is {verdict!r}; expected .*'promote'"):
            world.passed(inputs, verdict=verdict)


def test_a_model_that_is_not_in_mlflow_is_refused(world: World) -> None:
    inputs = world.challenger("a")
    for metadata in ({}, {"model_uri": ""}, {"model_uri": "runs:/abc/model"}, {"model_uri": "models:/rain/1"}):
        inputs["model"].metadata = metadata
        with pytest.raises(DeploymentError, match=rf"model: model_uri in its metadata is '{metadata.get('model_uri', '')}'; expected models:/m-"):
            world.passed(inputs)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flip": True}, r"smoke test of the registered model: refit agrees with the evaluated challenger: on 0.0% of the rows, at least 50% required"),
        ({"check_predictions": [1]}, r"1 predictions of the challenger for 30 rows. The champion is unchanged"),
        ({"check_rows": []}, r"evaluation: it contains no rows to test the registered model with"),
    ],
)
def test_a_copy_that_fails_its_smoke_test_is_registered_and_never_served(world: World, changes: dict[str, object], told: str) -> None:
    world.promote(world.passed(world.challenger("a")))
    inputs = world.challenger("b")
    if changes.pop("flip", False):
        changes = {"check_predictions": [1 - value for value in read_json(inputs["evaluation"].path)["check_predictions"]]}
    before = ledger_bytes(world)
    with pytest.raises(DeploymentError, match=told):
        world.promote(world.passed(inputs, **changes), "1", run="run-2")
    assert world.state() == (["1", "2"], "1", ["promotion"])
    assert ledger_bytes(world) == before
    assert "evergreen.stage" not in world.tags("2")


def test_an_evaluation_without_a_score_is_refused_before_registration(world: World) -> None:
    with pytest.raises(DeploymentError, match=r"evaluation: it contains no score for the challenger. Pass the output of evaluate_model to deploy_model"):
        world.promote(world.passed(world.challenger("a"), challenger_score=None))
    assert world.state() == ([], None, [])


def test_a_registered_copy_that_is_another_model_is_refused(world: World) -> None:
    inputs, other = world.challenger("a"), world.challenger("b", weights=1)
    inputs["model"].metadata["model_uri"] = other["model"].metadata["model_uri"]
    with pytest.raises(DeploymentError, match=r"smoke test of the registered model: same as before registration: on 30 rows"):
        world.promote(world.passed(inputs))
    assert world.alias() is None


def test_a_registered_copy_that_cannot_be_loaded_is_refused(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    location = world.client.get_logged_model(challenger.model_id).artifact_location
    Path(location.removeprefix("file://"), "model.skops").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="skops cannot read it"):
        world.promote(challenger)
    assert world.state() == (["1"], None, [])


def test_an_alias_that_somebody_moved_meanwhile_is_set_right_by_the_retry(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    second = world.passed(world.challenger("b", weights=1))
    world.promote(second, "1", run="run-2")
    world.client.set_registered_model_alias("rain", "champion", "1")
    assert world.promote(second, "1", run="run-2").outcome == "promoted"
    assert world.state() == (["1", "2"], "2", ["promotion", "promotion"])


def test_a_second_gate_renews_the_evidence_of_a_version_that_waited(world: World) -> None:
    inputs = world.challenger("a")
    world.promote(world.passed(inputs), approval="required")
    watched = {
        "errors": {"measure": "log loss", "rows": 2, "values": [0.1, 0.7]},
        "calibration": {"error": 0.01, "predicted": [0.6], "observed": [0.61], "rows": [120]},
    }
    challenger = world.passed(inputs, challenger_score=0.77, **watched)
    world.promote(challenger, run="run-2")
    location = world.client.get_logged_model(challenger.model_id).artifact_location.removeprefix("file://")
    baseline = read_json(Path(location) / "evergreen" / "baseline.json")
    assert baseline["score"] == 0.77
    assert {name: baseline[name] for name in watched} == watched
    assert world.versions() == ["1"]
