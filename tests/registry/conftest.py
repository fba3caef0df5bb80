from __future__ import annotations

from chaos.mlflow_server import server
from chaos.unreliable_bucket import unreliable
from registry_fixtures import empty_database, material, no_run_from_outside, world

__all__ = ["empty_database", "material", "no_run_from_outside", "server", "unreliable", "world"]
