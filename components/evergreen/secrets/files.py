"""The keys of the secret ``secret_name``, read from the files that a step has mounted into the environment of its own process.

Files, because Kubernetes replaces ``$(NAME)`` in a container's arguments by the pod's environment variable NAME: a parameter's value could
ask for a secret. A variable that only the step's process holds is there for the libraries that look for it, and for nobody before them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from evergreen.errors import SecretError

SECRET_FOLDER = "/var/run/secrets/evergreen"  # noqa: S105  # a folder, not a secret
"""Where a step finds the secret: one file for each key."""

FOLDER_VARIABLE = "EVERGREEN_SECRET_FOLDER"
"""Names another folder."""

OWN_PREFIX = "EVERGREEN_"
AWS_NAMES = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "ENDPOINT_URL", "REGION", "DEFAULT_REGION")

SECRET_KEYS = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    *(f"{OWN_PREFIX}AWS_{name}" for name in AWS_NAMES),
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "EVERGREEN_DATABASE_URL",
    "EVERGREEN_APPROVAL_KEY",
    "EVERGREEN_PUBLISHING_KEY",
)
"""Keys that a step reads, each into the environment variable of the same name; and any other that begins with ``EVERGREEN_``.

Every other key is passed over: a secret gives credentials, and does not change how a process runs (``PATH``, ``LD_PRELOAD``, ``PYTHONPATH``).
"""

_NEVER_FROM_FILES = (FOLDER_VARIABLE, "EVERGREEN_LAUNCHER", "EVERGREEN_IMAGE")
"""What Evergreen sets itself: where secrets lie, which command started a run, and which image a record names."""

_loaded: set[str] = set()


def secret_folder() -> str:
    """Return the folder that holds the secret's files."""
    return os.environ.get(FOLDER_VARIABLE) or SECRET_FOLDER


def loaded_names() -> frozenset[str]:
    """Return the names of the variables whose values came from the secret's files."""
    return frozenset(_loaded)


def load_secrets(folder: str | Path | None = None) -> list[str]:
    """Put the secret's known keys into the environment of this process, and give ``EVERGREEN_AWS_*`` the names that AWS's libraries look for.

    A file wins over a variable that is set already: nobody can tell whether that one was set by a person or baked into an image, and the
    secret is what this run was given by name. ``EVERGREEN_AWS_*`` wins over ``AWS_*`` for the same reason.

    Args:
        folder: Folder with one file for each key; `secret_folder` when not given. None may be there: a secret is optional.

    Returns:
        The names of the variables that were set, sorted; never their values.

    Raises:
        SecretError: A file cannot be read, or holds what no environment variable can.
    """
    place = Path(secret_folder() if folder is None else folder)
    names = []
    for name in sorted(_names(place)):
        if _is_read(name):
            os.environ[name] = _value(place / name)
            names.append(name)
    _loaded.update(names)
    return sorted({*names, *_take_aws_names()})


def _is_read(name: str) -> bool:
    own = re.fullmatch(rf"{OWN_PREFIX}[A-Z0-9_]+", name) is not None and name not in _NEVER_FROM_FILES
    return own or name in SECRET_KEYS


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SecretError(f"secret folder {folder}: cannot be listed: {error.strerror}. Let the step's user read what secret_name mounts there.") from error


def _value(file: Path) -> str:
    key = file.name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SecretError(f"secret key {key!r}: its file in {file.parent} cannot be read: {error.strerror}. Let the step's user read it.") from error
    try:
        value = content.decode()
    except UnicodeDecodeError:
        value = "\0"
    if "\0" in value:
        # Without its cause, which holds the content.
        raise SecretError(f"secret key {key!r}: its value is no text in UTF-8, or holds a zero byte. Make the secret again with the value as text.") from None
    # Whoever makes a secret from a file has its last line break in it.
    return re.sub(r"\r?\n\Z", "", value)


def _take_aws_names() -> list[str]:
    taken = []
    for name in AWS_NAMES:
        own = f"{OWN_PREFIX}AWS_{name}"
        if value := os.environ.get(own):
            os.environ[f"AWS_{name}"] = value
            taken.append(f"AWS_{name}")
            if own in _loaded:
                _loaded.add(f"AWS_{name}")
    if "AWS_ACCESS_KEY_ID" in taken and "AWS_SESSION_TOKEN" not in taken:
        # A session's token belongs to its own pair of keys: with another pair every request would be refused.
        os.environ.pop("AWS_SESSION_TOKEN", None)
    return taken
