"""Adds create-if-absent to a store without conditional writes, using MLflow's unique model names.

MLflow refuses to create a registered model whose name exists; a unique key enforces this in every database it supports.
An object is therefore created by claiming it first: one request creates a registered model whose name identifies the
object and whose tags hold the object's bytes. A process that finds another's claim without its object writes that object.
So if the claim's holder was killed, the next process completes it, and a holder that resumes late writes the same bytes again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from typing import TYPE_CHECKING

from evergreen.errors import StateError
from evergreen.storage.tracking import open_client, unusable_server
from evergreen.storage.uris import DECIDED_BY_MLFLOW

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from evergreen.storage.base import ObjectStore

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
CLAIM_PREFIX = "evergreen-claim-"
CONTENT_TAG = "evergreen.content."
CHARACTERS_OF_A_TAG = 4_000
"""Databases created by MLflow before version 3 store at most 5,000 characters per tag."""


class ClaimedStore:
    """A store that creates an object in another store only if MLflow grants the claim."""

    def __init__(self, inner: ObjectStore) -> None:
        """Wrap a store; no request is sent yet.

        Args:
            inner: The store that holds the objects.

        Raises:
            StateError: The environment does not name an MLflow server.
        """
        self._inner = inner
        self.uri = f"{DECIDED_BY_MLFLOW}{inner.uri}"
        self._tracking_uri = os.environ.get(TRACKING_VARIABLE, "")
        if not self._tracking_uri:
            raise StateError(
                f"ledger URI {self.uri!r}: this ledger uses MLflow to decide who writes a record, but {TRACKING_VARIABLE} is not set. "
                "Set it to the address of the MLflow server in every step, as a key of the secret that secret_name names."
            )
        self._connected: MlflowClient | None = None

    def read(self, name: str) -> bytes | None:
        """Return the object's bytes, or None when there is no such object."""
        return self._inner.read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write the object atomically, replacing any object of the same name."""
        self._inner.write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Claim the object, then write it; return whether the claim was granted to this call."""
        if self._inner.read(name) is not None:
            return False
        granted = self._claim(name, content)
        if granted:
            self._inner.write(name, content)
        elif self._inner.read(name) is None:
            self._inner.write(name, self._claimed(name))
        return granted

    def names(self, prefix: str = "") -> list[str]:
        """Return the sorted names of all objects that start with the prefix."""
        return self._inner.names(prefix)

    def _claim(self, name: str, content: bytes) -> bool:
        from mlflow.exceptions import MlflowException

        packed = base64.b64encode(zlib.compress(content)).decode()
        pieces = [packed[start : start + CHARACTERS_OF_A_TAG] for start in range(0, len(packed), CHARACTERS_OF_A_TAG)]
        try:
            self._client().create_registered_model(
                self._claim_name(name),
                tags={f"{CONTENT_TAG}{number}": piece for number, piece in enumerate(pieces)},
                description=f"Not a model: Evergreen's claim on {name} at {self._inner.uri}. Deleting it makes that object forgeable.",
            )
        except MlflowException as error:
            if error.error_code == "RESOURCE_ALREADY_EXISTS":
                return False
            raise unusable_server(self._tracking_uri, error) from error
        return True

    def _claimed(self, name: str) -> bytes:
        from mlflow.exceptions import MlflowException

        try:
            tags = self._client().get_registered_model(self._claim_name(name)).tags
            packed = "".join(tags[f"{CONTENT_TAG}{number}"] for number in range(sum(tag.startswith(CONTENT_TAG) for tag in tags)))
            return zlib.decompress(base64.b64decode(packed, validate=True))
        except MlflowException as error:
            raise unusable_server(self._tracking_uri, error) from error
        except (KeyError, ValueError, zlib.error) as error:
            raise StateError(
                f"registered model {self._claim_name(name)!r} at {self._tracking_uri}: no longer holds the content claimed for {name!r} at {self._inner.uri}: "
                f"{error!r}. Its tags were changed. Check the registry's audit log."
            ) from error

    def _claim_name(self, name: str) -> str:
        return CLAIM_PREFIX + hashlib.sha256(f"{self._inner.uri}/{name}".encode()).hexdigest()

    def _client(self) -> MlflowClient:
        self._connected = self._connected or open_client(self._tracking_uri)
        return self._connected
