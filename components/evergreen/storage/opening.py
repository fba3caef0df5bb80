"""Small objects under a URI: a folder on disk or a bucket, behind one interface.

The ledger needs one thing that not every store gives: creating an object only if it is absent, decided by the store
itself. All stores here have it (exclusive file creation, a generation precondition, If-None-Match); for a store that
has not, such as one that speaks S3's protocol and ignores If-None-Match, ``mlflow+`` before the URI lets MLflow decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import StateError
from evergreen.storage.google_cloud import GoogleCloudStore
from evergreen.storage.local import LocalStore
from evergreen.storage.uris import DECIDED_BY_MLFLOW

if TYPE_CHECKING:
    from evergreen.storage.base import ObjectStore


def open_store(uri: str) -> ObjectStore:
    """Open the store that a URI names.

    Args:
        uri: A folder (``/path``, ``path`` or ``file:///path``), ``gs://bucket/prefix``, ``s3://bucket/prefix``, or one of
            these after ``mlflow+``.

    Returns:
        The store. A local folder is created when something is first written.

    Raises:
        StateError: The scheme is not one of these.
    """
    if uri.startswith(DECIDED_BY_MLFLOW):
        from evergreen.storage.mlflow_claims import ClaimedStore

        return ClaimedStore(open_store(uri.removeprefix(DECIDED_BY_MLFLOW)))
    if uri.startswith("gs://"):
        return GoogleCloudStore(uri)
    if uri.startswith("s3://"):
        from evergreen.storage.s3 import S3Store

        return S3Store(uri)
    if uri.startswith("file://"):
        return LocalStore(uri.removeprefix("file://"))
    if "://" in uri:
        raise StateError(f"ledger URI {uri!r}: expected a folder, gs://bucket/prefix or s3://bucket/prefix; other schemes are not supported.")
    return LocalStore(uri)
