from __future__ import annotations

from support.mlflow_server import server
from support.registry_fixtures import no_run_from_outside, world
from support.unreliable_bucket import unreliable

__all__ = ["no_run_from_outside", "server", "unreliable", "world"]
