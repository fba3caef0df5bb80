"""Where state lives: the MLflow server and the ledger's folder or bucket, and nowhere else."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evergreen.errors import StateError
from evergreen.storage.local_paths import check_local_uri

NOTHING = "none"
"""The word that stands for "nothing" in parameters, because older KFP run forms refuse empty values."""

DECIDED_BY_MLFLOW = "mlflow+"
"""What stands before a ledger's URI when MLflow decides who writes a record, because the store cannot."""


def is_nothing(value: str) -> bool:
    """Return whether a text parameter stands for nothing: empty or the word ``none``."""
    return value.strip().lower() in ("", NOTHING)


def runs_in_a_pod() -> bool:
    """Return whether this process runs in a Kubernetes pod."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def without_password(uri: str) -> str:
    """Return a server's address without the user and password that it may hold."""
    # The host begins behind the last @ before a slash: a password may hold one, too. A URI that is none is shown as it is.
    return re.sub(r"://[^/?#]*@", "://", uri)


def check_ledger_uri(ledger_uri: str) -> str:
    """Return the ledger's URI if steps in different pods would all find the same ledger there.

    Args:
        ledger_uri: A folder, ``gs://bucket/prefix`` or ``s3://bucket/prefix``, or one of these after ``mlflow+``.

    Returns:
        The same URI.

    Raises:
        StateError: The value is empty, or, in a pod, a relative path.
    """
    if is_nothing(ledger_uri):
        raise StateError(
            f"state_ledger_uri is {ledger_uri!r}: expected the folder or bucket that holds the ledger, such as gs://my-bucket/evergreen. "
            "Fill in state_ledger_uri; only `evergreen run` has a local default."
        )
    place = ledger_uri.removeprefix(DECIDED_BY_MLFLOW)
    if runs_in_a_pod() and not place.startswith(("gs://", "s3://")) and not Path(place.removeprefix("file://")).is_absolute():
        raise StateError(
            f"state_ledger_uri {ledger_uri!r} is a relative path: on a cluster each pod would keep a ledger of its own and lose it. "
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
        StateError: The value is empty, or, in a pod, SQLite or a path; or it leads to secrets.
    """
    if is_nothing(tracking_uri):
        raise StateError(
            f"state_tracking_uri is {tracking_uri!r}: expected the MLflow server, such as http://mlflow.mlflow.svc:5000. "
            "Fill in state_tracking_uri; only `evergreen run` has a local default."
        )
    if runs_in_a_pod() and not tracking_uri.startswith(("http://", "https://", "databricks", "postgresql", "mysql", "mssql")):
        raise StateError(
            f"state_tracking_uri {tracking_uri!r} is not a server: on a cluster each pod would find no champion there, and promote into its own disk. "
            "Use the address of an MLflow server, such as http://mlflow.mlflow.svc:5000."
        )
    place = re.sub(r"\Asqlite(?:\+\w+)?:///", "", tracking_uri)
    check_local_uri(place.partition("?")[0], thing=f"state_tracking_uri {tracking_uri!r}", error_class=StateError)
    return tracking_uri
