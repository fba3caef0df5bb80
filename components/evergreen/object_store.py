"""Small objects under a URI: a folder on disk or a bucket, behind one interface.

The ledger needs one thing that not every store gives: creating an object only if it is absent, decided by the store
itself. All stores here have it (exclusive file creation, a generation precondition, If-None-Match); for a store that
has not, such as one that speaks S3's protocol and ignores If-None-Match, ``mlflow+`` before the URI lets MLflow decide.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from evergreen.bucket_uri import bucket_and_path
from evergreen.errors import StateError
from evergreen.local_paths import check_local_path
from evergreen.retrying import Service, reason
from evergreen.state import DECIDED_BY_MLFLOW


class ObjectStore(Protocol):
    """What every store can do. Names are relative, with ``/`` between their parts."""

    uri: str

    def read(self, name: str) -> bytes | None:
        """Return the object's bytes, or None when there is no such object."""

    def write(self, name: str, content: bytes) -> None:
        """Write the object whole, replacing one of the same name."""

    def create(self, name: str, content: bytes) -> bool:
        """Write the object only if none of that name exists; return whether this call created it."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the sorted names of all objects whose name starts with the prefix."""


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
        from evergreen.claimed_store import ClaimedStore

        return ClaimedStore(open_store(uri.removeprefix(DECIDED_BY_MLFLOW)))
    if uri.startswith("gs://"):
        return GoogleCloudStore(uri)
    if uri.startswith("s3://"):
        from evergreen.s3_store import S3Store

        return S3Store(uri)
    if uri.startswith("file://"):
        return LocalStore(uri.removeprefix("file://"))
    if "://" in uri:
        raise StateError(f"ledger URI {uri!r}: expected a folder, gs://bucket/prefix or s3://bucket/prefix; other schemes are not supported.")
    return LocalStore(uri)


def checked_name(name: str) -> str:
    """Return the name if it stays inside its store, and raise StateError if it does not."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise StateError(f"object name {name!r}: expected a relative path without '..' or backslashes.")
    return name


class LocalStore:
    """Objects as files in a folder. A file appears whole or not at all."""

    def __init__(self, folder: str) -> None:
        """Remember the folder; nothing is created yet.

        Raises:
            StateError: The folder leads to secrets or the system's state.
        """
        check_local_path(folder, thing=f"folder {folder!r}", error_class=StateError)
        self._folder = Path(folder).absolute()
        self.uri = str(self._folder)

    def read(self, name: str) -> bytes | None:
        """Return the file's bytes, or None when it does not exist."""
        path = self._path(name)
        with self._errors():
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write to a temporary file beside the target, flush it to disk, and rename it over the target."""
        path = self._path(name)
        with self._errors():
            temporary = self._written_beside(path, content)
            try:
                temporary.replace(path)
            except OSError:
                temporary.unlink()
                raise
            flush_folder(path.parent)

    def create(self, name: str, content: bytes) -> bool:
        """Link a complete temporary file to the name: the file system decides who is first."""
        path = self._path(name)
        with self._errors():
            temporary = self._written_beside(path, content)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            finally:
                temporary.unlink()
            flush_folder(path.parent)
            return True

    def names(self, prefix: str = "") -> list[str]:
        """Walk the folder; unfinished temporary files do not count."""
        if prefix:
            checked_name(prefix)
        if not self._folder.is_dir():
            return []
        start = self._folder / PurePosixPath(prefix).parent if "/" in prefix else self._folder
        found = (path.relative_to(self._folder).as_posix() for path in start.rglob("*") if path.is_file())
        return sorted(name for name in found if name.startswith(prefix) and not Path(name).name.startswith(".unfinished-"))

    def _path(self, name: str) -> Path:
        path = self._folder / checked_name(name)
        # The folder may hold a link to anywhere.
        check_local_path(path, thing=f"file {str(path)!r}", error_class=StateError)
        return path

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(f"ledger folder {self.uri!r}: cannot be used: {error}. Check that the folder can be written, or choose another.") from error

    @staticmethod
    def _written_beside(path: Path, content: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".unfinished-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return Path(temporary)


def flush_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    # A rename or link survives a power cut only when the folder itself has reached the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def bucket_and_prefix(uri: str, scheme: str, purpose: str = "ledger URI") -> tuple[str, str]:
    """Return the bucket's name of ``scheme://bucket/prefix`` and the prefix, with ``/`` at its end unless it is empty.

    Raises:
        StateError: The bucket's name is missing, or no bucket can have it.
    """
    bucket, path = bucket_and_path(uri, scheme, thing=purpose, parameter="the URI", error_class=StateError)
    prefix = path.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


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
