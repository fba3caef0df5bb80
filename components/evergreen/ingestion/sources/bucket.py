"""Objects in a bucket: listed by prefix and downloaded in parallel, each in the version that was listed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.hive_partitions import with_hive_partitions
from evergreen.ingestion.progress import reported_progress
from evergreen.ingestion.sources.base import FetchedFiles, SourceRequest
from evergreen.ingestion.sources.files import DATA_SUFFIXES, counts_as_data, describe_file
from evergreen.storage.retries.service import Result, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_GLOB_MARK = re.compile(r"[*?\[]")
PARALLEL_DOWNLOADS = 8


@dataclass(frozen=True)
class RemoteObject:
    """One version of an object; ``version`` is the store's identifier of that version."""

    name: str
    size: int
    version: str


class ObjectChangedError(Exception):
    """An object was deleted, or no longer has the version that was listed."""


class Bucket(Protocol):
    """The interface of an object store; each call makes one attempt. Other errors of the store's library are raised unchanged.

    Attributes:
        uri: URI of the bucket.
        kind: Name of the service, for error messages.
    """

    uri: str
    kind: str

    def objects(self, prefix: str) -> list[RemoteObject]:
        """Return all objects whose name starts with the prefix, each with its current version."""

    def download(self, listed: RemoteObject, target: Path) -> None:
        """Write that version of an object to a file; raise ObjectChangedError if it no longer exists."""

    def explain(self, error: Exception) -> str | None:
        """Return an explanation of an error of the store and what to do about it, or None if it is not an error of the store."""


class BucketSource:
    """A source in a bucket."""

    def __init__(self, source_uri: str, bucket: Bucket, path: str) -> None:
        """Set the location; no request is sent yet.

        Args:
            source_uri: The requested source, for error messages.
            bucket: The store.
            path: Object, prefix that ends with ``/``, or glob (``*`` and ``?`` do not match ``/``; ``**`` does).
        """
        self._source_uri, self._bucket, self._path = source_uri, bucket, path
        advice = "Check the service and the network, then run the step again."
        self._service = Service(bucket.kind, bucket.uri, f"source {source_uri!r}", advice, IngestionError)

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:  # noqa: ARG002  # whole objects are fetched
        """Download the objects, each in the version that was listed; see :class:`evergreen.ingestion.sources.base.Source`."""
        downloaded = self.download(folder)
        files = [describe_file(path, uri=f"{self._bucket.uri}/{found.name}", version=found.version) for found, path in downloaded]
        return FetchedFiles(with_hive_partitions(files, [found.name for found, _ in downloaded]))

    def download(self, folder: Path) -> list[tuple[RemoteObject, Path]]:
        """Download the objects regardless of their content, each in the version that was listed.

        Raises:
            IngestionError: There are no objects, or they cannot be read.
        """
        listed = self._listed()
        targets = [folder / f"{index:06d}-{found.name.rpartition('/')[2]}" for index, found in enumerate(listed)]
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool, reported_progress("Downloading", len(listed)) as advance:
            try:
                for _ in pool.map(self._download, listed, targets):
                    advance(1)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return list(zip(listed, targets, strict=True))

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Compare the listed versions with the current ones; new objects are ignored."""
        present = {f"{self._bucket.uri}/{found.name}": found.version for found in self._call(self._objects, "listing")}
        for file in fetched.files:
            if present.get(file.uri) != file.version:
                raise self._changed(file.uri)

    def _listed(self) -> list[RemoteObject]:
        found = [item for item in self._call(self._objects, "listing") if self._is_meant(item.name)]
        if not found:
            raise IngestionError(
                f"source {self._source_uri!r}: no object matches. Expected an object, a glob, or a prefix with objects named {', '.join(DATA_SUFFIXES)}, "
                "or without a suffix. Check the path."
            )
        return sorted(found, key=lambda item: item.name)

    def _objects(self) -> list[RemoteObject]:
        return self._bucket.objects(self._path[: mark.start()] if (mark := _GLOB_MARK.search(self._path)) else self._path)

    def _is_meant(self, name: str) -> bool:
        if name == self._path:
            return True
        if _GLOB_MARK.search(self._path):
            return glob_pattern(self._path).fullmatch(name) is not None
        folder = self._path.rstrip("/") + "/" if self._path else ""
        return name.startswith(folder) and counts_as_data(name.removeprefix(folder).split("/"))

    def _download(self, listed: RemoteObject, target: Path) -> None:
        def download() -> None:
            self._bucket.download(listed, target)
            if target.stat().st_size != listed.size:
                raise ConnectionError(f"{target.stat().st_size:,} of {listed.size:,} bytes of {listed.name} received")

        self._call(download, f"downloading {listed.name}")

    def _call(self, action: Callable[[], Result], doing: str) -> Result:
        try:
            return self._service.call(action)
        except ObjectChangedError as error:
            raise self._changed(f"{self._bucket.uri}/{error}") from error
        except IngestionError:
            raise
        except Exception as error:
            explained = self._bucket.explain(error)
            if explained is None:
                raise
            raise IngestionError(f"source {self._source_uri!r}: {doing} failed: {explained}") from error

    def _changed(self, uri: str) -> IngestionError:
        return IngestionError(
            f"source {self._source_uri!r}: {uri} was replaced or deleted while it was being read; expected objects that do not change. "
            "Run the step again; write changed rows under a new name."
        )


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Convert a glob over ``/``-separated names to a regular expression."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", glob)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part)) for part in parts))
