from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.figures import TOLD
from chaos.mlflow_server import postgresql_server, server
from chaos.unreliable_bucket import unreliable
from registry_fixtures import empty_database, material, no_run_from_outside, world

__all__ = ["empty_database", "material", "no_run_from_outside", "postgresql_server", "server", "unreliable", "world"]

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures where nothing that a server logs hides them."""
    if TOLD:
        terminalreporter.section("figures")
        for line in TOLD:
            terminalreporter.write_line(line)
