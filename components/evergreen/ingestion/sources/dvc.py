"""A file or folder tracked by DVC (or by Git itself) in one revision of a repository."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.hive_partitions import with_hive_partitions
from evergreen.ingestion.sources.base import FetchedFiles, SourceRequest, missing_extra
from evergreen.ingestion.sources.files import DATA_SUFFIXES, counts_as_data, describe_file
from evergreen.secrets.addresses import without_password
from evergreen.storage.local_paths import check_local_path
from evergreen.storage.retries.service import Service, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME = "dvc+"
SCHEMES = ("https", "http", "ssh", "git", "file")
"""Schemes that Git fetches from; others, such as ``ext``, run a command."""

_FORM = "dvc+https://host/repository.git@revision#path/in/repository (also dvc+ssh:// and dvc+file://)"


@dataclass(frozen=True)
class TrackedPlace:
    """The parts of a DVC source URI.

    Attributes:
        repository: The repository to clone: a URL, or a local folder.
        revision: Branch, tag or commit; empty for the newest commit of the default branch.
        path: File or folder in the repository.
    """

    repository: str
    revision: str
    path: str


def parse_place(source_uri: str) -> TrackedPlace:
    """Parse a URI in the style of pip's ``git+https://...@revision#...``.

    Raises:
        IngestionError: The URI has no repository or no path, or names a folder that holds secrets.
    """
    location, _, path = source_uri.partition("#")
    address = location.removeprefix(SCHEME)
    scheme, separator, rest = address.partition("://")
    # The user in ssh://git@host comes before the first slash, the revision after it; a branch name may contain slashes.
    host, slash, repository = rest.partition("/")
    if "@" in repository:
        repository, _, revision = repository.rpartition("@")
    else:
        revision = ""
    path = unquote(path).strip("/")
    if not separator or scheme not in SCHEMES or not repository or not path or ".." in path.split("/"):
        raise IngestionError(f"source {without_password(source_uri)!r}: expected {_FORM}. Correct source_uri.")
    if scheme == "file":
        check_local_path(f"/{unquote(repository)}", thing=f"source {source_uri!r}", error_class=IngestionError)
    # Pass a folder to DVC as a path, because its remotes may be relative to it.
    return TrackedPlace(f"/{unquote(repository)}" if scheme == "file" else f"{scheme}://{host}{slash}{repository}", unquote(revision), path)


class DvcSource:
    """A DVC source. The revision is resolved to a commit once, and what a commit tracks never changes."""

    def __init__(self, source_uri: str) -> None:
        """Parse the URI; nothing is cloned yet.

        Raises:
            IngestionError: The URI has no repository or no path.
        """
        self._place, self._shown = parse_place(source_uri), without_password(source_uri)
        advice = "Check the repository, its DVC remote and the network, then run the step again."
        self._service = Service("the repository", self._shown, f"source {self._shown!r}", advice, IngestionError)

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:  # noqa: ARG002  # whole files are fetched
        """Download the files; see :class:`evergreen.ingestion.sources.base.Source`."""
        return self.download(folder)

    def download(self, folder: Path) -> FetchedFiles:
        """Download the files regardless of the rows they hold.

        Raises:
            IngestionError: There are no files, or they cannot be read.
        """
        try:
            import dvc.api  # noqa: F401  # needed for reading
            from dvc.exceptions import DvcException
            from dvc_data.index.index import DataIndexError
        except ImportError as error:
            raise missing_extra(self._shown, "dvc", "dvc") from error
        try:
            names, target, commit = self._service.call(lambda: self._download(folder))
        except (DvcException, DataIndexError, OSError) as error:
            raise self._explained(error) from error
        repository = self._shown.partition("#")[0].removesuffix(f"@{self._place.revision}")
        paths = [target / name.removeprefix(self._place.path).strip("/") for name in names]
        files = [describe_file(path, uri=f"{repository}#{name}", version=commit) for path, name in zip(paths, names, strict=True)]
        return FetchedFiles(with_hive_partitions(files, names))

    def _download(self, folder: Path) -> tuple[list[str], Path, str]:
        with self._opened(folder / "dvc") as tracked:
            names = self._names(tracked)
            # A new folder per attempt, because files from an earlier attempt may be truncated. DVC's cache is kept; it holds only whole files.
            target = Path(tempfile.mkdtemp(prefix="attempt-", dir=folder)) / "data"
            # One call for all files, because DVC downloads in parallel.
            tracked.get(self._place.path, str(target), recursive=tracked.isdir(self._place.path))
            return names, target, str(tracked.repo.get_rev())

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Do nothing: what a commit tracks never changes, and DVC addresses content by its hash."""

    def _names(self, tracked: Any) -> list[str]:
        path = self._place.path
        if tracked.isfile(path):
            return [path]
        if not tracked.isdir(path):
            raise IngestionError(
                f"source {self._shown!r}: the repository has no {path!r} in revision {self._place.revision or 'HEAD'!r}, in DVC or in Git. "
                "Correct the path or the revision."
            )
        names = sorted(name.strip("/") for name in tracked.find(path))
        found = [name for name in names if counts_as_data(name.removeprefix(f"{path}/").split("/"))]
        if not found:
            raise IngestionError(
                f"source {self._shown!r}: the folder contains no data files. Expected files named {', '.join(DATA_SUFFIXES)}, or without a suffix."
            )
        return found

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[Any]:
        from dvc.api import DVCFileSystem
        from dvc.repo.open_repo import clean_repos

        # DVC writes only to the step's own folder, because a pod's root file system may be read-only.
        config = {"core": {"analytics": False, "check_update": False, "site_cache_dir": str(folder / "site")}, "cache": {"dir": str(folder / "cache")}}
        place = self._place
        # Without a revision, DVC would read a folder's working tree, which has no commit.
        revision = place.revision or ("HEAD" if place.repository.startswith("/") else None)
        tracked = DVCFileSystem(place.repository, rev=revision, config=config)
        try:
            yield tracked
        finally:
            tracked.repo.close()
            clean_repos()

    def _explained(self, error: Exception) -> IngestionError:
        from dvc.scm import CloneError, RevError

        if isinstance(error, CloneError) or (isinstance(error, OSError) and not isinstance(error, FileNotFoundError)):
            told = reason(error.__cause__ or error).partition(": ")[2]
            return IngestionError(
                f"source {self._shown!r}: the repository cannot be cloned: {told}. Check the address, and configure credentials in Git "
                "(credential helper or SSH key), not in the URI."
            )
        if isinstance(error, RevError):
            return IngestionError(f"source {self._shown!r}: {error}. Specify a branch, tag or commit of the repository after @.")
        if isinstance(error, FileNotFoundError) or "failed to load directory" in str(error):
            return IngestionError(
                f"source {self._shown!r}: the DVC remote lacks files that this revision tracks: {error}. Run `dvc push` where the data is, "
                "and check the repository's default remote."
            )
        return IngestionError(f"source {self._shown!r}: DVC rejected the request: {error}. Check the repository's DVC remote and its credentials.")
