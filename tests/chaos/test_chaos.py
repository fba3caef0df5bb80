"""The whole of it, in bounded time: `make test-chaos` prints the figures. A short form runs with the other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos.deployments import deployments_without_a_server, killed_deployments, racing_deployments
from chaos.faults import (
    deployments_onto_a_full_disk,
    deployments_onto_a_read_only_disk,
    deployments_to_an_unreliable_bucket,
    deployments_with_a_clock_that_goes_backwards,
)
from chaos.figures import told
from chaos.ledger_mutations import mutate

if TYPE_CHECKING:
    from support.mlflow_server import RestartableServer
    from support.registry_fixtures import World
    from support.unreliable_bucket import Unreliable

pytestmark = [pytest.mark.mlflow_server, pytest.mark.timeout(900)]


def test_1000_mutations_of_the_ledger_are_all_found() -> None:
    tried, missed = mutate(1000, seed=1)
    told(f"mutations of ledger files: {tried.total()} ({', '.join(f'{count} {name}' for name, count in sorted(tried.items()))}); not found: {len(missed)}")
    assert missed == []


def test_200_deployments_killed_at_random_moments(world: World, server: RestartableServer) -> None:
    figures = killed_deployments(world.at(server.uri), 200, seed=2)
    told(f"killed deployments: {figures}")
    assert figures.wrong == []
    assert figures.done == 200


@pytest.mark.postgresql
def test_50_deployments_killed_at_random_moments_on_postgresql(world: World, postgresql_server: RestartableServer) -> None:
    figures = killed_deployments(world.at(postgresql_server.uri), 50, seed=4)
    told(f"killed deployments, the server on PostgreSQL: {figures}")
    assert figures.wrong == []
    assert figures.done == 50


def test_8_processes_race_for_50_rounds(world: World, server: RestartableServer) -> None:
    figures = racing_deployments(world.at(server.uri), 50)
    told(f"rounds of 8 promotions at once: {figures}")
    assert figures.wrong == []
    assert figures.reached == {"won": 50, "told superseded": 350}


def test_the_server_goes_away_during_50_deployments(world: World, server: RestartableServer) -> None:
    figures = deployments_without_a_server(world.at(server.uri), server, 50, seed=3)
    told(f"deployments whose server was killed and started again: {figures}")
    assert figures.wrong == []
    assert figures.reached == {"promoted": 50}


def test_50_deployments_onto_a_full_disk(world: World) -> None:
    figures = deployments_onto_a_full_disk(world, 50, seed=5)
    told(f"deployments onto a full disk, and again with room: {figures}")
    assert figures.wrong == []
    assert figures.done == 50
    assert figures.reached["refused"] >= 10


def test_20_deployments_onto_a_read_only_disk(world: World) -> None:
    figures = deployments_onto_a_read_only_disk(world, 20)
    told(f"deployments onto a read-only disk, and again on a writable one: {figures}")
    assert figures.wrong == []
    assert figures.reached == {"refused": 20}


def test_50_deployments_with_a_clock_that_goes_backwards(world: World) -> None:
    figures = deployments_with_a_clock_that_goes_backwards(world, 50, seed=6)
    told(f"deployments with a clock that goes backwards: {figures}")
    assert figures.wrong == []
    assert figures.done == 50


@pytest.mark.gcs
def test_20_deployments_whose_bucket_answers_503_for_a_while(world: World, unreliable: Unreliable) -> None:
    figures = deployments_to_an_unreliable_bucket(world, unreliable, "gs://state/evergreen", 20, seed=7)
    told(f"deployments whose ledger's bucket answers 503 for a while: {figures}")
    assert figures.wrong == []
    assert figures.done == 20
