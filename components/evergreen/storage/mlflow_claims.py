"""An object store that cannot tell by itself who was first: MLflow decides.

MLflow refuses to create a registered model whose name exists, by a unique key of its database, whatever the database is.
So an object is created by claiming it first: a registered model is made whose name stands for the object, and whose tags
hold the object's bytes, in one request. Whoever finds the claim of another without its object writes that object, so a
claim whose holder was killed is completed by the next who comes along, and a holder that wakes up late writes the same again.
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
"""Databases that MLflow made before its third version hold no more than 5,000 characters of a tag."""


class ClaimedStore:
    """Objects of another store, created only where MLflow grants the claim."""

    def __init__(self, inner: ObjectStore) -> None:
        """Wrap a store; nothing is requested yet.

        Args:
            inner: Where the objects lie.

        Raises:
            StateError: The environment names no MLflow server.
        """
        self._inner = inner
        self.uri = f"{DECIDED_BY_MLFLOW}{inner.uri}"
        self._tracking_uri = os.environ.get(TRACKING_VARIABLE, "")
        if not self._tracking_uri:
            raise StateError(
                f"ledger URI {self.uri!r}: MLflow decides here who writes a record, and {TRACKING_VARIABLE} is not set. "
                "Set it to the address of the MLflow server in every step, as a key of the secret that secret_name names."
            )
        self._connected: MlflowClient | None = None

    def read(self, name: str) -> bytes | None:
        """Return the object's bytes, or None when there is no such object."""
        return self._inner.read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write the object whole, replacing one of the same name."""
        self._inner.write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Claim the object, then write it; return whether this call was granted the claim."""
        if self._inner.read(name) is not None:
            return False
        granted = self._claim(name, content)
        if granted:
            self._inner.write(name, content)
        elif self._inner.read(name) is None:
            self._inner.write(name, self._claimed(name))
        return granted

    def names(self, prefix: str = "") -> list[str]:
        """Return the sorted names of all objects whose name starts with the prefix."""
        return self._inner.names(prefix)

    def _claim(self, name: str, content: bytes) -> bool:
        from mlflow.exceptions import MlflowException

        packed = base64.b64encode(zlib.compress(content)).decode()
        pieces = [packed[start : start + CHARACTERS_OF_A_TAG] for start in range(0, len(packed), CHARACTERS_OF_A_TAG)]
        try:
            self._client().create_registered_model(
                self._claim_name(name),
                tags={f"{CONTENT_TAG}{number}": piece for number, piece in enumerate(pieces)},
                description=f"No model: Evergreen's claim of {name} at {self._inner.uri}. Deleting it makes that object forgeable.",
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
                f"registered model {self._claim_name(name)!r} at {self._tracking_uri}: holds no longer what was claimed for {name!r} at {self._inner.uri}: "
                f"{error!r}. Somebody changed its tags: look at the registry's audit log."
            ) from error

    def _claim_name(self, name: str) -> str:
        return CLAIM_PREFIX + hashlib.sha256(f"{self._inner.uri}/{name}".encode()).hexdigest()

    def _client(self) -> MlflowClient:
        self._connected = self._connected or open_client(self._tracking_uri)
        return self._connected
