"""How a published model lies in a bucket: immutable version folders with a manifest, and one pointer to one of them.

Below ``gs://bucket/prefix/MODEL/``::

    versions/VERSION-DIGEST/model/...       the files; DIGEST is that of the list of their checksums
    versions/VERSION-DIGEST/manifest.json   written last: a folder without it is half an upload
    current.json                            names one folder and its manifest's checksum

A reader that takes ``current.json`` first therefore always sees one whole version.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evergreen.data.json_values import to_json
from evergreen.deployment.errors import DeploymentError
from evergreen.errors import StateError
from evergreen.storage.base import checked_name

KEY_VARIABLE = "EVERGREEN_PUBLISHING_KEY"
POINTER = "current.json"
MANIFEST = "manifest.json"
FILES = "model"
BLOCK = 1 << 20


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published model: path below ``model/``, size in bytes, SHA-256 in hexadecimal."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What belongs to a published version.

    Attributes:
        model_name: Name of the registered model.
        version: Its version.
        files: Every file of it.
        signature: HMAC-SHA256 of all that, hexadecimal; empty when no key is configured.
    """

    model_name: str
    version: str
    files: tuple[PublishedFile, ...]
    signature: str = ""

    @property
    def folder(self) -> str:
        """The folder in the bucket, below the model's: other content has another one."""
        return f"versions/{self.version}-{self.digest[:16]}"

    @property
    def digest(self) -> str:
        """SHA-256 of all that the manifest says of model, version and files, hexadecimal."""
        return hashlib.sha256(self._content()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the manifest as it is stored."""
        return to_json(asdict(self))

    def signed(self, key: str) -> Manifest:
        """Return the manifest with the key's signature."""
        return Manifest(self.model_name, self.version, self.files, hmac.new(key.encode(), self._content(), hashlib.sha256).hexdigest())

    def is_signed(self, key: str) -> bool:
        """Return whether the signature is that of the key."""
        return hmac.compare_digest(self.signed(key).signature.encode(), self.signature.encode())

    def _content(self) -> bytes:
        return json.dumps([self.model_name, self.version, [asdict(file) for file in self.files]], sort_keys=True).encode()


@dataclass(frozen=True)
class Pointer:
    """What ``current.json`` says: which version is served.

    Attributes:
        model_name: Name of the registered model.
        version: Its version.
        folder: The version's folder.
        manifest_sha256: Checksum of its manifest.
    """

    model_name: str
    version: str
    folder: str
    manifest_sha256: str

    def to_bytes(self) -> bytes:
        """Return the pointer as it is stored."""
        return to_json(asdict(self))


def publishing_key() -> str:
    """Return the key that manifests are signed with, or nothing."""
    return os.environ.get(KEY_VARIABLE, "")


def manifest_of_files(folder: Path, *, model_name: str, version: str, key: str = "") -> Manifest:
    """Return the manifest of a model directory."""
    files = tuple(
        PublishedFile(file.relative_to(folder).as_posix(), file.stat().st_size, file_sha256(file)) for file in sorted(folder.rglob("*")) if file.is_file()
    )
    manifest = Manifest(model_name, version, files)
    return manifest.signed(key) if key else manifest


def file_sha256(file: Path) -> str:
    """Return a file's checksum, read block by block."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def parse_pointer(content: bytes, place: str) -> Pointer:
    """Return the pointer that bytes hold.

    Raises:
        DeploymentError: They hold none.
    """
    try:
        pointer = Pointer(**_texts(json.loads(content)))
        checked_name(pointer.folder)
    except (ValueError, TypeError, StateError) as error:
        raise DeploymentError(f"{place}: is no pointer to a published model: {error}. Publish the champion again: run the pipeline.") from error
    return pointer


def parse_manifest(content: bytes, place: str, *, expected_sha256: str, key: str = "") -> Manifest:
    """Return the manifest that bytes hold, if it is the one that the pointer names.

    Raises:
        DeploymentError: They hold none or another one, or its signature is not that of the key.
    """
    if hashlib.sha256(content).hexdigest() != expected_sha256:
        raise DeploymentError(f"{place}: does not have the checksum that {POINTER} names: it was changed. Nothing was taken; publish the champion again.")
    try:
        values = json.loads(content)
        manifest = Manifest(**{**values, "files": tuple(PublishedFile(**file) for file in values["files"])})
        for file in manifest.files:
            checked_name(file.path)
    except (ValueError, TypeError, KeyError, StateError) as error:
        raise DeploymentError(f"{place}: is no manifest of a published model: {error}. Publish the champion again: run the pipeline.") from error
    if key and not manifest.is_signed(key):
        raise DeploymentError(f"{place}: is not signed with the key in {KEY_VARIABLE}. Nothing was taken; find out who wrote it.")
    return manifest


def _texts(values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("expected a JSON object of texts")
    return values
