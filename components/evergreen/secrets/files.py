"""Loads the keys of the secret ``secret_name`` from the step's mounted files into the environment of its own process.

Files are used because Kubernetes replaces ``$(NAME)`` in a container's arguments with the pod's environment variable NAME, so a parameter's
value could request a secret. A variable set only inside the step's process is available to the libraries that need it, and not before.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from evergreen.errors import SecretError

SECRET_FOLDER = "/var/run/secrets/evergreen"  # noqa: S105  # a folder, not a secret
"""Default folder of the mounted secret, with one file per key."""

FOLDER_VARIABLE = "EVERGREEN_SECRET_FOLDER"
"""Environment variable that overrides the folder."""

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
"""Keys that a step reads, each into the environment variable of the same name, in addition to all keys that start with ``EVERGREEN_``.

All other keys are ignored: a secret provides credentials and must not change how a process runs (``PATH``, ``LD_PRELOAD``, ``PYTHONPATH``).
"""

_NEVER_FROM_FILES = (FOLDER_VARIABLE, "EVERGREEN_IMAGE")
"""Variables that Evergreen sets itself: the secrets folder, the command that started a run, and the image that a record names."""

_loaded: set[str] = set()


def secret_folder() -> str:
    """Return the folder of the mounted secret."""
    return os.environ.get(FOLDER_VARIABLE) or SECRET_FOLDER


def loaded_names() -> frozenset[str]:
    """Return the names of the variables that were loaded from the secret's files."""
    return frozenset(_loaded)


def load_secrets(folder: str | Path | None = None) -> list[str]:
    """Load the secret's known keys into the environment of this process, and copy ``EVERGREEN_AWS_*`` to the names that AWS libraries expect.

    A file overrides a variable that is already set: that variable may have been set by a person or baked into an image, whereas the secret was
    requested by name for this run. ``EVERGREEN_AWS_*`` overrides ``AWS_*`` for the same reason.

    Args:
        folder: Folder with one file per key. Defaults to `secret_folder`. It may be absent, because the secret is optional.

    Returns:
        Sorted names of the variables that were set; never their values.

    Raises:
        SecretError: A file cannot be read, or its content cannot be stored in an environment variable.
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
        raise SecretError(
            f"secret folder {folder}: cannot be listed: {error.strerror}. Give the step's user read access to the files that secret_name mounts there."
        ) from error


def _value(file: Path) -> str:
    key = file.name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SecretError(f"secret key {key!r}: its file in {file.parent} cannot be read: {error.strerror}. Give the step's user read access to it.") from error
    try:
        value = content.decode()
    except UnicodeDecodeError:
        value = "\0"
    if "\0" in value:
        # `from None`, because the cause contains the secret.
        raise SecretError(f"secret key {key!r}: its value is not UTF-8 text, or contains a null byte. Recreate the secret with a text value.") from None
    # A secret created from a file includes the file's trailing newline.
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
        # A session token is valid only with its own key pair; with another pair every request would be rejected.
        os.environ.pop("AWS_SESSION_TOKEN", None)
    return taken
