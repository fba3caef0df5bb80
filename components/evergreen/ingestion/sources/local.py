"""Local files or files on a mounted volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.base import FetchedFiles, SourceRequest
from evergreen.ingestion.sources.files import find_files, version_of

if TYPE_CHECKING:
    from pathlib import Path


class LocalSource:
    """A file, a folder or a glob."""

    def __init__(self, source_uri: str) -> None:
        """Store the requested source."""
        self._source_uri = source_uri

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:  # noqa: ARG002  # files are read in place
        """Return the files; see :class:`evergreen.ingestion.sources.base.Source`."""
        return FetchedFiles(find_files(self._source_uri))

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Compare modification times and sizes with the earlier ones."""
        for file in fetched.files:
            try:
                status = file.path.stat()
            except OSError as error:
                raise self._changed(file.path) from error
            if (version_of(status), status.st_size) != (file.version, file.size):
                raise self._changed(file.path)

    def _changed(self, path: Path) -> IngestionError:
        return IngestionError(
            f"source {self._source_uri!r}: {path} was replaced or deleted while it was being read; expected files that do not change. "
            "Run the step again; write changed rows to a new file."
        )
