"""What a promotion changes for those who call the model, in three numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.deployment.approval import ApprovalRequest, approve
from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.registry.semantic_version import MAJOR, MINOR, PATCH, bumped, change

if TYPE_CHECKING:
    from evergreen.deployment.challenger import PassedChallenger
    from support.registry_fixtures import World

BEFORE: dict[str, Any] = {
    "interface": {"task": "classification", "target": "rain", "classes": ["0", "1"], "features": {"a": "number", "b": "category"}},
    "recipe": {"estimator": "x.Y", "hyperparameters": {"C": 1.0}, "training_options": {}},
}


def changed(part: str, **values: Any) -> dict[str, Any]:
    return {**BEFORE, part: {**BEFORE[part], **values}}


@pytest.mark.parametrize(
    ("after", "level"),
    [
        (BEFORE, PATCH),
        (changed("recipe", hyperparameters={"C": 2.0}), MINOR),
        (changed("recipe", estimator="x.Z"), MINOR),
        (changed("recipe", training_options={"weights": "balanced"}), MINOR),
        (changed("interface", features={"a": "number", "b": "category", "c": "number"}), MINOR),
        (changed("interface", features={"a": "number"}), MAJOR),
        (changed("interface", features={"a": "category", "b": "category"}), MAJOR),
        (changed("interface", classes=["0", "1", "2"]), MAJOR),
        (changed("interface", task="regression", classes=[]), MAJOR),
        (changed("interface", target="snow"), MAJOR),
    ],
)
def test_what_changed_tells_which_number_is_raised(after: dict[str, Any], level: int) -> None:
    assert change(BEFORE, after) == level


@pytest.mark.parametrize(("level", "version"), [(MAJOR, "3.0.0"), (MINOR, "2.10.0"), (PATCH, "2.9.12")])
def test_a_raised_number_sets_those_after_it_to_0(level: int, version: str) -> None:
    assert bumped("2.9.11", level) == version


def with_recipe(challenger: PassedChallenger, **values: Any) -> PassedChallenger:
    for name, value in values.items():
        object.__setattr__(challenger.description, name, value)
    return challenger


def number(world: World, version: str) -> str | None:
    return world.tags(version).get("evergreen.semantic_version")


def test_promotions_are_numbered_in_ledger_registry_and_history(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    world.promote(with_recipe(world.passed(world.challenger("c")), hyperparameters={"C": 9.0}), "2", run="run-3")
    assert [number(world, version) for version in ("1", "2", "3")] == ["1.0.0", "1.0.1", "1.1.0"]
    assert [record.evidence["semantic_version"] for record in world.ledger.records()] == ["1.0.0", "1.0.1", "1.1.0"]
    said = CliRunner().invoke(app, ["history", "rain", "--ledger-uri", world.ledger_uri], env={"COLUMNS": "160"})
    assert "2 → 3 (1.1.0)" in said.stdout


def test_a_number_that_was_rolled_back_is_not_given_again(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    roll_back(RollbackRequest("rain", "it crashes", run_id="back"), tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri)
    world.promote(world.passed(world.challenger("c")), "1", run="run-3")
    assert [number(world, version) for version in ("1", "2", "3")] == ["1.0.0", "1.0.1", "1.0.2"]


def test_a_version_is_numbered_when_it_is_promoted_and_not_while_it_waits(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2", approval="required")
    world.promote(world.passed(world.challenger("c")), "1", run="run-3")
    roll_back(RollbackRequest("rain", "it crashes", run_id="back"), tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri)
    assert number(world, "2") is None
    approve(ApprovalRequest("rain", "2", "Ada", "looks right"), tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri)
    assert (number(world, "3"), number(world, "2"), world.alias()) == ("1.0.1", "1.0.2", "2")
