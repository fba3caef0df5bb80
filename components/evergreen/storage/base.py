"""What every object store can do."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

from evergreen.errors import StateError


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


def checked_name(name: str) -> str:
    """Return the name if it stays inside its store, and raise StateError if it does not."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise StateError(f"object name {name!r}: expected a relative path without '..' or backslashes.")
    return name
