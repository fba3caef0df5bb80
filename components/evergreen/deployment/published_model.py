"""Layout of a published model in a bucket: immutable version folders with a manifest, and a pointer to one of them.

Below ``gs://bucket/prefix/MODEL/``::

    versions/VERSION-DIGEST/model/...       the files; DIGEST is the digest of the list of their checksums
    versions/VERSION-DIGEST/manifest.json   written last: a folder without it is an incomplete upload
    current.json                            names one folder and the checksum of its manifest

A reader that reads ``current.json`` first therefore always sees one complete version.
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
    """One file of a published model: path below ``model/``, size in bytes, hexadecimal SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of a published version.

    Attributes:
        model_name: Name of the registered model.
        version: Its version.
        files: All its files.
        signature: Hexadecimal HMAC-SHA256 of the above; empty if no key is configured.
    """

    model_name: str
    version: str
    files: tuple[PublishedFile, ...]
    signature: str = ""

    @property
    def folder(self) -> str:
        """The folder in the bucket, below the model's folder; different content has a different folder."""
        return f"versions/{self.version}-{self.digest[:16]}"

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the manifest's model, version and files."""
        return hashlib.sha256(self._content()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the manifest as it is stored."""
        return to_json(asdict(self))

    def signed(self, key: str) -> Manifest:
        """Return the manifest signed with the key."""
        return Manifest(self.model_name, self.version, self.files, hmac.new(key.encode(), self._content(), hashlib.sha256).hexdigest())

    def is_signed(self, key: str) -> bool:
        """Return whether the manifest is signed with the key."""
        return hmac.compare_digest(self.signed(key).signature.encode(), self.signature.encode())

    def _content(self) -> bytes:
        return json.dumps([self.model_name, self.version, [asdict(file) for file in self.files]], sort_keys=True).encode()


@dataclass(frozen=True)
class Pointer:
    """The content of ``current.json``: which version is served.

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
    """Return the key for signing manifests; empty if none is configured."""
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
    """Parse a pointer.

    Raises:
        DeploymentError: The content is not a pointer.
    """
    try:
        pointer = Pointer(**_texts(json.loads(content)))
        checked_name(pointer.folder)
    except (ValueError, TypeError, StateError) as error:
        raise DeploymentError(f"{place}: not a pointer to a published model: {error}. Publish the champion again by running the pipeline.") from error
    return pointer


def parse_manifest(content: bytes, place: str, *, expected_sha256: str, key: str = "") -> Manifest:
    """Parse a manifest, provided that it is the one the pointer names.

    Raises:
        DeploymentError: The content is not a manifest or not the named one, or it is not signed with the key.
    """
    if hashlib.sha256(content).hexdigest() != expected_sha256:
        raise DeploymentError(f"{place}: the checksum does not match {POINTER}: the file was changed. Nothing was downloaded; publish the champion again.")
    try:
        values = json.loads(content)
        manifest = Manifest(**{**values, "files": tuple(PublishedFile(**file) for file in values["files"])})
        for file in manifest.files:
            checked_name(file.path)
    except (ValueError, TypeError, KeyError, StateError) as error:
        raise DeploymentError(f"{place}: not a manifest of a published model: {error}. Publish the champion again by running the pipeline.") from error
    if key and not manifest.is_signed(key):
        raise DeploymentError(f"{place}: not signed with the key in {KEY_VARIABLE}. Nothing was downloaded; find out who wrote it.")
    return manifest


def _texts(values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("expected a JSON object with text values")
    return values
