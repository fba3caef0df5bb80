"""The version of the package, and with it the tag of its images, and the versions of what it stands on."""

from __future__ import annotations

from functools import cache

__version__ = "0.1.0"


@cache
def installed_version(package: str) -> str:
    """Return the version of an installed package; kept, for looking it up takes milliseconds."""
    from importlib.metadata import version

    return version(package)
