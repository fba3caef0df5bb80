"""Settings that may be given in line or as the place where they lie."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.errors import EvergreenError


def text_or_file(text: str, parameter: str, error_type: type[EvergreenError]) -> str:
    """Return a setting's text: itself when it is JSON or YAML in line, else the content of the file that it names.

    Args:
        text: JSON or YAML in line, or the path or ``gs://`` URI of a file.
        parameter: The parameter's name, for the message.
        error_type: The room's error.

    Raises:
        EvergreenError: Of the given type: there is no such file.
    """
    if "{" in text or "\n" in text or ":" in text.replace("://", ""):
        return text
    from evergreen.object_store import open_store

    location = PurePosixPath(text)
    found = open_store(text.rpartition("/")[0] if "://" in text else str(location.parent)).read(location.name)
    if found is None:
        raise error_type(f"{parameter} {text!r}: there is no such file. Give JSON or YAML in line, or the path or gs:// URI of a file.")
    return found.decode("utf-8", errors="replace")
