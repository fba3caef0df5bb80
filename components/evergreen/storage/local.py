"""Objects as files in a folder."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from evergreen.errors import StateError
from evergreen.storage.base import checked_name
from evergreen.storage.local_paths import check_local_path

if TYPE_CHECKING:
    from collections.abc import Iterator


class LocalStore:
    """Objects as files in a folder. Each file is written atomically."""

    def __init__(self, folder: str) -> None:
        """Store the folder's path; nothing is created yet.

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
        """Write to a temporary file next to the target, flush it to disk, and rename it over the target."""
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
        """Hard-link a complete temporary file to the name: the file system decides which writer is first."""
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
        """List the folder recursively; unfinished temporary files are ignored."""
        if prefix:
            checked_name(prefix)
        if not self._folder.is_dir():
            return []
        start = self._folder / PurePosixPath(prefix).parent if "/" in prefix else self._folder
        found = (path.relative_to(self._folder).as_posix() for path in start.rglob("*") if path.is_file())
        return sorted(name for name in found if name.startswith(prefix) and not Path(name).name.startswith(".unfinished-"))

    def _path(self, name: str) -> Path:
        path = self._folder / checked_name(name)
        # The folder may contain a symbolic link to anywhere.
        check_local_path(path, thing=f"file {str(path)!r}", error_class=StateError)
        return path

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(f"ledger folder {self.uri!r}: cannot be used: {error}. Check that the folder is writable, or choose another.") from error

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
    """Flush a folder's entries to disk."""
    # A rename or link survives a power failure only once the folder itself has been flushed to disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
