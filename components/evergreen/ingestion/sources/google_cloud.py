"""A Google Cloud Storage bucket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.bucket import ObjectChangedError, RemoteObject

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_SECONDS = (10.0, 60.0)
"""Timeouts for the connection, and for each part of a response."""


class GoogleBucket:
    """Objects by generation: a generation identifies one content of a name and is never reused."""

    kind = "Google Cloud Storage"

    def __init__(self, bucket: str, timeout: tuple[float, float] = TIMEOUT_SECONDS) -> None:
        """Create a client with application default credentials; ``STORAGE_EMULATOR_HOST`` is honoured.

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
                "Grant the step's service account access (Workload Identity), or set GOOGLE_APPLICATION_CREDENTIALS."
            ) from error
        self._bucket = client.bucket(bucket)

    def objects(self, prefix: str) -> list[RemoteObject]:
        """List by prefix, page by page."""
        # Retries are ours, so that they are bounded and logged.
        listed = self._bucket.client.list_blobs(self._bucket, prefix=prefix or None, timeout=self._timeout, retry=None)
        return [RemoteObject(blob.name, int(blob.size), str(blob.generation)) for blob in listed if not blob.name.endswith("/")]

    def download(self, listed: RemoteObject, target: Path) -> None:
        """Download the stored bytes of one generation, verified against the store's checksum."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        blob = self._bucket.blob(listed.name, generation=int(listed.version))
        try:
            blob.download_to_filename(str(target), raw_download=True, timeout=self._timeout, retry=None)
        except (NotFound, PreconditionFailed) as error:
            raise ObjectChangedError(listed.name) from error
        if blob.generation is not None and str(blob.generation) != listed.version:
            raise ObjectChangedError(listed.name)

    def explain(self, error: Exception) -> str | None:
        """Explain a missing bucket, missing permissions and invalid credentials."""
        from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
        from google.auth.exceptions import GoogleAuthError

        if isinstance(error, NotFound):
            return f"bucket {self.uri} does not exist (404). Create it, or correct source_uri."
        if isinstance(error, (Forbidden, Unauthorized)):
            return (
                f"no permission ({error.code}): {error.message}. Grant the step's service account the role Storage Object Viewer (roles/storage.objectViewer) "
                f"on {self.uri}."
            )
        if isinstance(error, GoogleAuthError):
            return f"the credentials were rejected: {error}. Check the step's service account."
        return str(error) if isinstance(error, GoogleAPIError) else None
