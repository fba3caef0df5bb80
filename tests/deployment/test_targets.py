from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.targets import RegistryTarget, open_targets
from evergreen.registry.versions import ModelRegistry

if TYPE_CHECKING:
    from support.registry_fixtures import World


@pytest.fixture
def target(world: World) -> RegistryTarget:
    world.promote(world.passed(world.challenger("a")), approval="required")
    return RegistryTarget(ModelRegistry(world.tracking_uri, world.model_name))


def test_a_version_is_staged_served_and_observed(world: World, target: RegistryTarget) -> None:
    target.stage("1")
    assert target.observe() == {}
    assert world.tags("1")["evergreen.stage"] == "staged"
    target.set_traffic("1", 0.0)
    assert target.observe() == {}
    target.finish("1")
    target.finish("1")
    assert target.observe() == {"1": 1.0}
    assert world.alias() == "1"
    assert "evergreen.stage" not in world.tags("1")


def test_an_aborted_version_is_not_left_staged(world: World, target: RegistryTarget) -> None:
    target.stage("1")
    target.abort("1")
    target.abort("1")
    assert "evergreen.stage" not in world.tags("1")
    assert (world.versions(), world.alias()) == (["1"], None)


def test_an_alias_cannot_be_split(world: World, target: RegistryTarget) -> None:
    with pytest.raises(DeploymentError, match=r"target 'registry': traffic share 0.5 of version 1: an alias refers to a single version. Use 0 or 1"):
        target.set_traffic("1", 0.5)
    assert world.alias() is None


def test_an_alias_that_does_not_move_is_noticed(target: RegistryTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelRegistry, "move_alias", lambda *_: None)
    with pytest.raises(DeploymentError, match=r"the alias was moved to version 1, but refers to nothing. Run again"):
        target.finish("1")


def test_targets_are_found_by_name_each_once(world: World) -> None:
    registry = ModelRegistry(world.tracking_uri, world.model_name)
    assert [target.name for target in open_targets(" registry,registry , ", registry)] == ["registry"]
