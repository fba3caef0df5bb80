"""A promoter that is overtaken while it works neither wins late nor leaves anything staged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.targets import STAGE_TAG, RegistryTarget

if TYPE_CHECKING:
    from support.registry_fixtures import World


def test_a_promoter_that_slept_does_not_move_the_alias_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = RegistryTarget.finish
    first, second = world.passed(world.challenger("a")), world.passed(world.challenger("b", weights=1))

    def overtaken(target: RegistryTarget, version: str) -> None:
        monkeypatch.setattr(RegistryTarget, "finish", finish)
        world.promote(second, "1", run="run-2")
        finish(target, version)

    monkeypatch.setattr(RegistryTarget, "finish", overtaken)
    assert world.promote(first).outcome == "promoted"
    assert (world.ledger.champion(), world.alias()) == ("2", "2")


def test_a_superseded_challenger_is_not_left_staged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    winner, loser = world.passed(world.challenger("a")), world.passed(world.challenger("b", weights=1))
    stage = RegistryTarget.stage

    def overtaken(target: RegistryTarget, version: str) -> None:
        monkeypatch.setattr(RegistryTarget, "stage", stage)
        stage(target, version)
        world.promote(winner, run="run-2")

    monkeypatch.setattr(RegistryTarget, "stage", overtaken)
    with pytest.raises(DeploymentError, match=r"superseded.*compared with version none, but the champion is now version 2"):
        world.promote(loser)
    assert world.state() == (["1", "2"], "2", ["promotion"])
    assert all(STAGE_TAG not in world.tags(version) for version in ("1", "2"))
