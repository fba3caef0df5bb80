"""Rejects paths in parameters that lead to secrets or system state.

A step's process can read more than its data: its mounted secret, the credentials of the cloud and Kubernetes, and the environment of every
process under ``/proc``. A parameter that names one of these as data would cause it to be read, shown in an error, or kept in an artifact.
"""

from __future__ import annotations

import itertools
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from evergreen.secrets.files import secret_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evergreen.errors import EvergreenError

SYSTEM_FOLDERS = ("/proc", "/sys", "/run/secrets", "/var/run/secrets")
"""Process and machine state, and the folders where Kubernetes mounts secrets and tokens."""

CREDENTIAL_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "KF_PIPELINES_SA_TOKEN_PATH",
    "KUBECONFIG",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "NETRC",
    "PGPASSFILE",
)
"""Environment variables that name credential files."""

CREDENTIALS_AT_HOME = (".aws", ".config/gcloud", ".docker", ".git-credentials", ".kube", ".mlflow", ".netrc", ".pgpass", ".ssh")
"""Default locations of credential files in the home folder, used when no variable is set."""

MOST_LINKS = 40
"""The number of symbolic links that Linux itself follows."""


def check_local_path(path: str | Path, *, thing: str, error_class: type[EvergreenError]) -> None:
    """Reject a path that leads to secrets or process state by any route: symbolic links, ``..`` or a relative path.

    Args:
        path: The path, whether or not it exists.
        thing: What contains the path, for the error message, such as ``source '/data'``.
        error_class: The exception type to raise.

    Raises:
        EvergreenError: The path leads to secrets or system state.
    """
    closed = _closed_places()
    written = str(path)
    # Some libraries expand ~ to the home folder, others treat it as a name.
    places = itertools.chain(_places_on_the_way(written), _places_on_the_way(os.path.expanduser(written)) if written.startswith("~") else ())  # noqa: PTH111  # Path.expanduser raises for an unknown user
    for place in places:
        for folder in closed:
            if place == folder or place.startswith(f"{folder}/"):
                raise error_class(f"{thing}: leads to {folder}, which holds secrets or system state, never data. Name a location that holds data.")


def check_local_folder(folder: str | Path, *, thing: str, error_class: type[EvergreenError]) -> None:
    """Reject a folder that is read recursively if it, or anything below it, holds secrets.

    Raises:
        EvergreenError: The folder holds or leads to secrets or system state.
    """
    check_local_path(folder, thing=thing, error_class=error_class)
    real = os.path.realpath(folder).rstrip("/")
    inside = [place for place in _closed_places() if place.startswith(f"{real}/") and Path(place).exists()]
    if inside:
        raise error_class(f"{thing}: contains {inside[0]}, which holds secrets or system state, never data. Name a folder that holds only data.")


def check_local_uri(uri: str, *, thing: str, error_class: type[EvergreenError]) -> None:
    """Reject a file URI or path that leads to secrets; other URIs pass.

    Raises:
        EvergreenError: The URI leads to secrets or system state.
    """
    for path in _paths_of(uri):
        check_local_path(path, thing=thing, error_class=error_class)


def check_values(value: Any, *, thing: str, error_class: type[EvergreenError]) -> None:
    """Reject a JSON value that contains a path to secrets, which some library may open.

    Raises:
        EvergreenError: The value contains such a path.
    """
    if isinstance(value, str):
        if "/" in value:
            check_local_uri(value, thing=thing, error_class=error_class)
    elif isinstance(value, dict):
        for item in value.values():
            check_values(item, thing=thing, error_class=error_class)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_values(item, thing=thing, error_class=error_class)


def _paths_of(uri: str) -> Iterator[str]:
    """Yield the paths that a URI may refer to: libraries differ in whether they decode it."""
    scheme, separator, rest = uri.partition(":")
    if not separator or "/" in scheme:
        yield uri
    elif scheme.lower() == "file":
        path = f"/{rest[2:].partition('/')[2]}" if rest.startswith("//") else rest
        yield from dict.fromkeys((path, unquote(path), re.split("[?#]", path)[0], unquote(re.split("[?#]", path)[0])))
    elif "://" not in uri:
        # A file name may contain a colon.
        yield uri


def _places_on_the_way(path: str) -> Iterator[str]:
    """Yield every location that the system traverses to resolve a path, both links and their targets.

    Checking only the final target is not enough: a path through the link ``/proc/self/root`` has the same target as the path without it.
    """
    current = "/"
    ahead = [*reversed(os.path.join(os.getcwd(), path).split("/"))]  # noqa: PTH109, PTH118  # pathlib drops path parts that matter here
    links = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            current = os.path.dirname(current)  # noqa: PTH120  # a plain text
            continue
        place = f"{current.rstrip('/')}/{part}"
        yield place
        try:
            target = os.readlink(place)  # noqa: PTH115  # a plain text
        except (OSError, ValueError):
            current = place
            continue
        links += 1
        if links > MOST_LINKS:
            return
        current = "/" if target.startswith("/") else current
        ahead.extend(reversed(target.split("/")))


def _closed_places() -> tuple[str, ...]:
    named = [place for name in CREDENTIAL_VARIABLES for place in os.environ.get(name, "").split(os.pathsep) if place]
    return _absolute((secret_folder(), *named), os.environ.get("HOME", ""))


@lru_cache(maxsize=8)
def _absolute(named: tuple[str, ...], home: str) -> tuple[str, ...]:
    at_home = [f"{home.rstrip('/')}/{name}" for name in CREDENTIALS_AT_HOME] if home.startswith("/") else []
    places = [*SYSTEM_FOLDERS, *named, *at_home]
    # Both as written and resolved, because either may be named.
    both = [form for place in places for form in (os.path.abspath(place), os.path.realpath(place))]  # noqa: PTH100  # resolve() would do only the second
    return tuple(form for form in dict.fromkeys(both) if form != "/")
