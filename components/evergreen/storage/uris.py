"""Locations of state: the MLflow server and the ledger's folder or bucket."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evergreen.errors import StateError
from evergreen.storage.local_paths import check_local_uri

NOTHING = "none"
"""The word that means "not set" in parameters, because older KFP run forms reject empty values."""

DECIDED_BY_MLFLOW = "mlflow+"
"""Prefix of a ledger URI whose store lacks conditional writes, so that MLflow decides who writes a record."""


def is_nothing(value: str) -> bool:
    """Return whether a text parameter is not set: empty or the word ``none``."""
    return value.strip().lower() in ("", NOTHING)


def runs_in_a_pod() -> bool:
    """Return whether this process runs in a Kubernetes pod."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def check_ledger_uri(ledger_uri: str) -> str:
    """Return the ledger URI if steps in different pods would all find the same ledger there.

    Args:
        ledger_uri: A folder, ``gs://bucket/prefix`` or ``s3://bucket/prefix``, optionally prefixed with ``mlflow+``.

    Returns:
        The same URI.

    Raises:
        StateError: The value is empty or, in a pod, a relative path.
    """
    if is_nothing(ledger_uri):
        raise StateError(
            f"state_ledger_uri is {ledger_uri!r}: expected the folder or bucket of the ledger, such as gs://my-bucket/evergreen. "
            "Set state_ledger_uri; only `evergreen run` has a local default."
        )
    place = ledger_uri.removeprefix(DECIDED_BY_MLFLOW)
    if runs_in_a_pod() and not place.startswith(("gs://", "s3://")) and not Path(place.removeprefix("file://")).is_absolute():
        raise StateError(
            f"state_ledger_uri {ledger_uri!r} is a relative path: on a cluster each pod would keep its own ledger and lose it. "
            "Use a bucket (gs://my-bucket/evergreen) or the absolute path of a volume that every step mounts."
        )
    return ledger_uri


def check_tracking_uri(tracking_uri: str) -> str:
    """Return the MLflow tracking URI if steps in different pods would all reach the same registry there.

    Args:
        tracking_uri: ``http(s)://...`` or, on one machine, ``sqlite:///file``.

    Returns:
        The same URI.

    Raises:
        StateError: The value is empty, leads to secrets or, in a pod, is SQLite or a path.
    """
    if is_nothing(tracking_uri):
        raise StateError(
            f"state_tracking_uri is {tracking_uri!r}: expected an MLflow server, such as http://mlflow.mlflow.svc:5000. "
            "Set state_tracking_uri; only `evergreen run` has a local default."
        )
    if runs_in_a_pod() and not tracking_uri.startswith(("http://", "https://", "databricks", "postgresql", "mysql", "mssql")):
        raise StateError(
            f"state_tracking_uri {tracking_uri!r} is not a server: on a cluster each pod would find no champion there and would promote to its own disk. "
            "Use the address of an MLflow server, such as http://mlflow.mlflow.svc:5000."
        )
    place = re.sub(r"\Asqlite(?:\+\w+)?:///", "", tracking_uri)
    check_local_uri(place.partition("?")[0], thing=f"state_tracking_uri {tracking_uri!r}", error_class=StateError)
    return tracking_uri
