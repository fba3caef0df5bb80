"""Objects in a Google Cloud Storage bucket."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from evergreen.errors import StateError
from evergreen.storage.base import checked_name
from evergreen.storage.bucket_uris import bucket_and_prefix
from evergreen.storage.retries.service import Service, reason

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_bucket(uri: str, purpose: str = "ledger URI") -> tuple[Any, str]:
    """Return the bucket of ``gs://bucket/prefix``, and the prefix, which ends in ``/`` unless it is empty.

    No request is sent yet. The official client honours ``STORAGE_EMULATOR_HOST``.

    Raises:
        StateError: The bucket name is missing, or there are no credentials.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    bucket, prefix = bucket_and_prefix(uri, "gs", purpose)
    emulated = bool(os.environ.get("STORAGE_EMULATOR_HOST"))
    try:
        client = storage.Client(project="emulator", credentials=AnonymousCredentials()) if emulated else storage.Client()
    except GoogleAuthError as error:
        raise StateError(f"{purpose} {uri!r}: there are no credentials for Google Cloud Storage: {error}") from error
    return client.bucket(bucket), prefix


def google_service(uri: str, purpose: str = "ledger URI") -> Service:
    """Return the `Service` of Google Cloud Storage. Its client is called with ``retry=None`` because the service retries by itself."""
    return Service("Google Cloud Storage", uri, f"{purpose} {uri!r}", "Check the network and the service's status; then run the step again.")


@contextmanager
def google_errors(uri: str, bucket_name: str, purpose: str = "ledger URI") -> Iterator[None]:
    """Convert errors of Google's client into a `StateError` that names the URI."""
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import ConnectionError as NoConnectionError

    try:
        yield
    except NotFound as error:
        parameter = "state_ledger_uri" if purpose == "ledger URI" else "the URI"
        raise StateError(f"{purpose} {uri!r}: bucket {bucket_name!r} does not exist. Create it, or correct {parameter}.") from error
    except (GoogleAPIError, GoogleAuthError, NoConnectionError) as error:
        raise StateError(f"{purpose} {uri!r}: Google Cloud Storage rejected the request: {_told(error)}. Check the bucket and its permissions.") from error


def _told(error: Exception) -> str:
    return reason(error).partition(": ")[2]


def download_or_none(blob: Any) -> bytes | None:
    """Return an object's bytes, or None when the bucket holds no such object."""
    from google.api_core.exceptions import NotFound

    try:
        return bytes(blob.download_as_bytes(retry=None))
    except NotFound:
        # A missing bucket returns the same error.
        if blob.bucket.exists(retry=None):
            return None
        raise


class GoogleCloudStore:
    """Objects in a Google Cloud Storage bucket, below a prefix."""

    def __init__(self, uri: str) -> None:
        """Open the bucket without sending a request; the official client honours ``STORAGE_EMULATOR_HOST``."""
        self.uri = uri.rstrip("/")
        self._bucket, self._prefix = open_bucket(uri)
        self._service = google_service(self.uri)

    def read(self, name: str) -> bytes | None:
        """Download the object, or return None when it does not exist."""
        blob = self._blob(name)
        with self._errors():
            return self._service.call(lambda: download_or_none(blob))

    def write(self, name: str, content: bytes) -> None:
        """Upload the object in one request."""
        blob = self._blob(name)
        with self._errors():
            self._service.call(lambda: blob.upload_from_string(content, retry=None))

    def create(self, name: str, content: bytes) -> bool:
        """Upload with ``if_generation_match=0``: the service rejects the request if the object exists."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(name)

        def create() -> bool:
            try:
                blob.upload_from_string(content, if_generation_match=0, retry=None)
            except PreconditionFailed:
                return False
            return True

        def landed() -> bool | None:
            # If the response was lost, the stored content shows that this call wrote it.
            return True if download_or_none(blob) == content else None

        with self._errors():
            return self._service.call(create, landed=landed)

    def names(self, prefix: str = "") -> list[str]:
        """List by prefix."""
        if prefix:
            checked_name(prefix)

        def listed() -> list[str]:
            blobs = self._bucket.client.list_blobs(self._bucket, prefix=self._prefix + prefix, retry=None)
            return sorted(blob.name.removeprefix(self._prefix) for blob in blobs)

        with self._errors():
            return self._service.call(listed)

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._prefix + checked_name(name))

    def _errors(self) -> AbstractContextManager[None]:
        return google_errors(self.uri, self._bucket.name)
