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
    """Return the bucket of ``gs://bucket/prefix`` and the prefix, with ``/`` at its end unless it is empty.

    Nothing is requested yet; ``STORAGE_EMULATOR_HOST`` is honoured by the official client.

    Raises:
        StateError: The bucket's name is missing, or there are no credentials.
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
    """Return Google Cloud Storage as messages name it. Its client is called with ``retry=None``: the attempts are ours."""
    return Service("Google Cloud Storage", uri, f"{purpose} {uri!r}", "Check the network and the service's status; then run the step again.")


@contextmanager
def google_errors(uri: str, bucket_name: str, purpose: str = "ledger URI") -> Iterator[None]:
    """Turn the refusals of Google's client into one `StateError` that names the URI."""
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import ConnectionError as NoConnectionError

    try:
        yield
    except NotFound as error:
        parameter = "state_ledger_uri" if purpose == "ledger URI" else "the URI"
        raise StateError(f"{purpose} {uri!r}: there is no bucket {bucket_name!r}. Create it, or correct {parameter}.") from error
    except (GoogleAPIError, GoogleAuthError, NoConnectionError) as error:
        raise StateError(f"{purpose} {uri!r}: Google Cloud Storage did not take the request: {_told(error)}. Check the bucket and its permissions.") from error


def _told(error: Exception) -> str:
    return reason(error).partition(": ")[2]


def download_or_none(blob: Any) -> bytes | None:
    """Return an object's bytes, or None when the bucket holds no such object."""
    from google.api_core.exceptions import NotFound

    try:
        return bytes(blob.download_as_bytes(retry=None))
    except NotFound:
        # A bucket that does not exist answers the same.
        if blob.bucket.exists(retry=None):
            return None
        raise


class GoogleCloudStore:
    """Objects in a Google Cloud Storage bucket, below a prefix."""

    def __init__(self, uri: str) -> None:
        """Connect lazily-authenticated; ``STORAGE_EMULATOR_HOST`` is honoured by the official client."""
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
        """Upload with ``if_generation_match=0``: the service refuses when the object exists."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(name)

        def create() -> bool:
            try:
                blob.upload_from_string(content, if_generation_match=0, retry=None)
            except PreconditionFailed:
                return False
            return True

        def landed() -> bool | None:
            # What stands there is what this call has written, when its answer was lost.
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
