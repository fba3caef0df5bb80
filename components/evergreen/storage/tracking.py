"""Connects to the MLflow server: waits while it is unavailable, and reports it in one clear error."""

from __future__ import annotations

import os
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit

from evergreen.errors import StateError
from evergreen.secrets.addresses import without_password
from evergreen.storage.mlflow_service import mlflow_service
from evergreen.storage.retries.service import reason
from evergreen.storage.uris import check_tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROBE_SECONDS = 5
NOBODY_BEHIND = (502, 503, 504)
DATABASES = ("postgresql", "mysql", "mssql")


def open_client(tracking_uri: str) -> MlflowClient:
    """Return a client of the tracking server after checking that it is reachable; each call is retried while the server is unavailable.

    The address is passed to the client and MLflow's global state is left alone, because the step shares that state with
    whatever set ``MLFLOW_RUN_ID`` before it.

    Args:
        tracking_uri: ``http(s)://...``, or ``sqlite:///file`` on one machine.

    Raises:
        StateError: The URI cannot work on a cluster, no server listens there, or the database's folder does not exist.
    """
    check_tracking_uri(tracking_uri)
    _check_reachable(tracking_uri)
    # MLflow's own retries (7, of 120 s each) would multiply ours.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    from evergreen.storage.tracking_client import retrying_client

    service = mlflow_service(tracking_uri)
    return retrying_client(service.call(lambda: MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)), service)


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the database file of a SQLite tracking URI, or None for a server."""
    return Path(tracking_uri.removeprefix("sqlite:///").partition("?")[0]).absolute() if tracking_uri.startswith("sqlite:///") else None


def unusable_server(tracking_uri: str, error: Exception) -> StateError:
    """Return the error for a server that rejected a request."""
    return StateError(
        f"state_tracking_uri {without_password(tracking_uri)!r}: MLflow rejected the request: {without_password(str(error))}. "
        "Check the server and its artifact store, then run the step again."
    )


def _check_reachable(tracking_uri: str) -> None:
    file = sqlite_file(tracking_uri)
    if file is not None and not file.parent.is_dir():
        raise StateError(f"state_tracking_uri {tracking_uri!r}: folder {file.parent} does not exist. Create it or correct the path.")
    scheme = urlsplit(tracking_uri).scheme
    if scheme in ("http", "https"):
        _check_server(tracking_uri)
    elif scheme.partition("+")[0] in DATABASES:
        _check_database(tracking_uri)


def _check_server(tracking_uri: str) -> None:
    address = urlsplit(tracking_uri)

    def look() -> None:
        port = address.port or (443 if address.scheme == "https" else 80)
        if address.scheme == "https":
            # The client itself decides which certificates to trust; here it is enough that a server listens.
            socket.create_connection((address.hostname or "", port), timeout=PROBE_SECONDS).close()
        else:
            _probe(address.hostname or "", port, address.path)

    try:
        mlflow_service(tracking_uri).call(look)
    except StateError:
        raise
    except (OSError, ValueError, HTTPException) as error:
        raise _unreachable(tracking_uri, error) from error


def _check_database(tracking_uri: str) -> None:
    # MLflow itself would try to connect ten times in two minutes, whatever the cause of the failure.
    import sqlalchemy

    def look() -> None:
        engine = sqlalchemy.create_engine(tracking_uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()

    try:
        mlflow_service(tracking_uri).call(look)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise _unreachable(tracking_uri, error) from error


def _unreachable(tracking_uri: str, error: Exception) -> StateError:
    shown = without_password(tracking_uri)
    return StateError(f"state_tracking_uri {shown!r}: {mlflow_service(shown).kind} cannot be reached: {reason(error)}. Start it or correct the address.")


def _probe(host: str, port: int, path: str) -> None:
    # A server that accepts the connection and never answers would block MLflow's client indefinitely. Any answer is good enough,
    # because a proxy may reject this path and let others through, unless it reports that there is no server behind it.
    connection = HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", f"{path.rstrip('/')}/health")
        answer = connection.getresponse()
        answer.read()
        if answer.status in NOBODY_BEHIND:
            raise HTTPError(f"http://{host}:{port}{path}", answer.status, answer.reason, answer.headers, None)
    finally:
        connection.close()
