from __future__ import annotations

import pytest

from chaos.figures import TOLD
from support.mlflow_server import postgresql_server, server
from support.registry_fixtures import no_run_from_outside, world
from support.unreliable_bucket import unreliable

__all__ = ["no_run_from_outside", "postgresql_server", "server", "unreliable", "world"]


@pytest.fixture(autouse=True)
def waits_as_on_a_cluster(patient: None) -> None:
    """Wait inside the step, as on a cluster, within a smaller bound."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures where nothing that a server logs hides them."""
    if TOLD:
        terminalreporter.section("figures")
        for line in TOLD:
            terminalreporter.write_line(line)
