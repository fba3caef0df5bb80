"""Opens stores for small objects, in a folder on disk or a bucket, behind one interface.

The ledger needs a feature that not every store has: creating an object only if it is absent, enforced by the store
itself. All stores here support it (exclusive file creation, a generation precondition, If-None-Match). For a store that
does not, such as an S3-compatible store that ignores If-None-Match, the URI prefix ``mlflow+`` lets MLflow decide.
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
        uri: A folder (``/path``, ``path`` or ``file:///path``), ``gs://bucket/prefix`` or ``s3://bucket/prefix``; any of
            these may be prefixed with ``mlflow+``.

    Returns:
        The store. A local folder is created on the first write.

    Raises:
        StateError: The scheme is not supported.
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
