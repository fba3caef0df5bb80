"""The MLflow server as a `Service` that requests wait for."""

from __future__ import annotations

from urllib.parse import urlsplit

from evergreen.secrets.addresses import without_password
from evergreen.storage.retries.service import Service


def mlflow_service(tracking_uri: str) -> Service:
    """Return the `Service` of the MLflow server."""
    kind = "the MLflow server" if urlsplit(tracking_uri).scheme in ("http", "https") else "MLflow's database"
    return Service(kind, tracking_uri, f"state_tracking_uri {without_password(tracking_uri)!r}", "Start it or correct the address, then run the step again.")
