from __future__ import annotations

import pytest

from chaos.figures import TOLD
from chaos.mlflow_server import postgresql_server, server
from chaos.unreliable_bucket import unreliable
from registry_fixtures import empty_database, material, no_run_from_outside, world

__all__ = ["empty_database", "material", "no_run_from_outside", "postgresql_server", "server", "unreliable", "world"]


@pytest.fixture(autouse=True)
def waits_as_on_a_cluster(patient: None) -> None:
    """Wait inside the step, as on a cluster, within a smaller bound."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures where nothing that a server logs hides them."""
    if TOLD:
        terminalreporter.section("figures")
        for line in TOLD:
            terminalreporter.write_line(line)
