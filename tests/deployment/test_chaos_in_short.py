"""The short form of tests/chaos: the same code, a few rounds, one server; `make test-chaos` runs the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos.deployments import deployments_without_a_server, killed_deployments, racing_deployments
from chaos.faults import deployments_to_an_unreliable_bucket, deployments_with_a_clock_that_goes_backwards
from chaos.ledger_mutations import mutate

if TYPE_CHECKING:
    from support.mlflow_server import RestartableServer
    from support.registry_fixtures import World
    from support.unreliable_bucket import Unreliable

pytestmark = [pytest.mark.mlflow_server, pytest.mark.timeout(300), pytest.mark.usefixtures("patient")]


def test_mutations_of_the_ledger_are_all_found() -> None:
    tried, missed = mutate(200, seed=1)
    assert missed == []
    assert len(tried) == 8


def test_killed_deployments_end_as_if_they_had_not_been_killed(world: World, server: RestartableServer) -> None:
    figures = killed_deployments(world.at(server.uri), 5, seed=2)
    assert figures.wrong == []
    assert figures.done == 5


def test_of_processes_that_promote_at_once_one_wins_each_round(world: World, server: RestartableServer) -> None:
    figures = racing_deployments(world.at(server.uri), 3, processes=4)
    assert figures.wrong == []
    assert figures.reached == {"won": 3, "told superseded": 9}


def test_deployments_whose_server_goes_away_wait_for_it(world: World, server: RestartableServer) -> None:
    figures = deployments_without_a_server(world.at(server.uri), server, 2, seed=3)
    assert figures.wrong == []
    assert figures.reached == {"promoted": 2}


def test_a_clock_that_goes_backwards_changes_no_deployment(world: World) -> None:
    figures = deployments_with_a_clock_that_goes_backwards(world, 3, seed=6)
    assert figures.wrong == []
    assert figures.done == 3


@pytest.mark.gcs
def test_deployments_whose_bucket_answers_503_for_a_while_are_whole(world: World, unreliable: Unreliable) -> None:
    figures = deployments_to_an_unreliable_bucket(world, unreliable, "gs://state/evergreen", 1, seed=7)
    assert figures.wrong == []
    assert figures.reached == {"promoted, met 503": 1}
