"""The interface of every object store."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

from evergreen.errors import StateError


class ObjectStore(Protocol):
    """The interface of every store. Names are relative, with ``/`` between their parts."""

    uri: str

    def read(self, name: str) -> bytes | None:
        """Return the object's bytes, or None when there is no such object."""

    def write(self, name: str, content: bytes) -> None:
        """Write the object atomically, replacing any object of the same name."""

    def create(self, name: str, content: bytes) -> bool:
        """Write the object only if no object of that name exists; return whether this call created it."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the sorted names of all objects that start with the prefix."""


def checked_name(name: str) -> str:
    """Return the name if it stays inside its store; raise StateError otherwise."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise StateError(f"object name {name!r}: expected a relative path without '..' or backslashes.")
    return name
