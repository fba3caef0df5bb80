"""A bucket of Google Cloud Storage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.bucket import ObjectChangedError, RemoteObject

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_SECONDS = (10.0, 60.0)
"""For the connection, and for each part of an answer."""


class GoogleBucket:
    """Objects by generation: a generation is one content of a name, and is never used again."""

    kind = "Google Cloud Storage"

    def __init__(self, bucket: str, timeout: tuple[float, float] = TIMEOUT_SECONDS) -> None:
        """Make a client with the application's default credentials; ``STORAGE_EMULATOR_HOST`` is honoured.

        Raises:
            IngestionError: There are no credentials.
        """
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import storage

        self.uri, self._timeout = f"gs://{bucket}", timeout
        try:
            emulated = bool(os.environ.get("STORAGE_EMULATOR_HOST"))
            client = storage.Client(project="emulator", credentials=AnonymousCredentials()) if emulated else storage.Client()
        except GoogleAuthError as error:
            raise IngestionError(
                f"source {self.uri}: there are no credentials for Google Cloud Storage: {error}. "
                "Give the step's service account access (Workload Identity), or set GOOGLE_APPLICATION_CREDENTIALS."
            ) from error
        self._bucket = client.bucket(bucket)

    def objects(self, prefix: str) -> list[RemoteObject]:
        """List by prefix, page by page."""
        # The attempts are ours, so that they are bounded and told of.
        listed = self._bucket.client.list_blobs(self._bucket, prefix=prefix or None, timeout=self._timeout, retry=None)
        return [RemoteObject(blob.name, int(blob.size), str(blob.generation)) for blob in listed if not blob.name.endswith("/")]

    def download(self, listed: RemoteObject, target: Path) -> None:
        """Download the stored bytes of one generation, checked against the store's checksum."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        blob = self._bucket.blob(listed.name, generation=int(listed.version))
        try:
            blob.download_to_filename(str(target), raw_download=True, timeout=self._timeout, retry=None)
        except (NotFound, PreconditionFailed) as error:
            raise ObjectChangedError(listed.name) from error
        if blob.generation is not None and str(blob.generation) != listed.version:
            raise ObjectChangedError(listed.name)

    def explain(self, error: Exception) -> str | None:
        """Say what to do about a missing bucket and missing permissions."""
        from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
        from google.auth.exceptions import GoogleAuthError

        if isinstance(error, NotFound):
            return f"there is no bucket {self.uri} (404). Create it, or correct source_uri."
        if isinstance(error, (Forbidden, Unauthorized)):
            return (
                f"no permission ({error.code}): {error.message}. Give the step's service account the role Storage Object Viewer (roles/storage.objectViewer) "
                f"on {self.uri}."
            )
        if isinstance(error, GoogleAuthError):
            return f"the credentials were not taken: {error}. Check the step's service account."
        return str(error) if isinstance(error, GoogleAPIError) else None
