"""Version of the package, which is also its images' tag, and the versions of its dependencies."""

from __future__ import annotations

from functools import cache

__version__ = "0.1.0"


@cache
def installed_version(package: str) -> str:
    """Return the version of an installed package; cached because each lookup takes milliseconds."""
    from importlib.metadata import version

    return version(package)
