"""The MLflow server: reached within a bounded time, or named in one clear error."""

from __future__ import annotations

import os
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evergreen.errors import StateError
from evergreen.state import check_tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROBE_SECONDS = 5


def open_client(tracking_uri: str) -> MlflowClient:
    """Return a client of the tracking server, after seeing that it is there.

    The server's address is passed to each call and no global state of MLflow's is set: a step shares that with whatever
    set ``MLFLOW_RUN_ID`` before it.

    Args:
        tracking_uri: ``http(s)://...``, or ``sqlite:///file`` on one machine.

    Raises:
        StateError: The URI cannot work on a cluster, nobody listens there, or the database's folder does not exist.
    """
    check_tracking_uri(tracking_uri)
    _check_reachable(tracking_uri)
    # MLflow's own defaults (7 retries of 120 s) would hold a step for a quarter of an hour.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the database file of a SQLite tracking URI, or None for a server."""
    return Path(tracking_uri.removeprefix("sqlite:///").partition("?")[0]).absolute() if tracking_uri.startswith("sqlite:///") else None


def unusable_server(tracking_uri: str, error: Exception) -> StateError:
    """Return the error for a server that answered with a refusal or went away meanwhile."""
    return StateError(
        f"state_tracking_uri {tracking_uri!r}: MLflow did not take the request: {error}. Check the server and its artifact store, then run the step again."
    )


def _check_reachable(tracking_uri: str) -> None:
    file = sqlite_file(tracking_uri)
    if file is not None and not file.parent.is_dir():
        raise StateError(f"state_tracking_uri {tracking_uri!r}: the folder {file.parent} does not exist. Create it or correct the path.")
    address = urlsplit(tracking_uri)
    if address.scheme not in ("http", "https"):
        return
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        if address.scheme == "https":
            # Which certificates to trust is the client's own matter; here it is enough that somebody listens.
            socket.create_connection((address.hostname or "", port), timeout=PROBE_SECONDS).close()
        else:
            _probe(address.hostname or "", port, address.path)
    except (OSError, ValueError, HTTPException) as error:
        raise StateError(f"state_tracking_uri {tracking_uri!r}: the MLflow server cannot be reached: {error!r}. Start it, or correct the address.") from error


def _probe(host: str, port: int, path: str) -> None:
    # A server that takes the connection and never answers would hold MLflow's client through all of its retries. Any answer will do:
    # a proxy before the server may refuse this path and let the rest through.
    connection = HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", f"{path.rstrip('/')}/health")
        connection.getresponse().read()
    finally:
        connection.close()
