"""The consumer side of a published model, ``evergreen pull``: download, verify and switch."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.published_model import FILES, MANIFEST, POINTER, file_sha256, parse_manifest, parse_pointer, publishing_key
from evergreen.registry.ledger import folder_name
from evergreen.storage.google_cloud import download_or_none, google_errors, google_service, open_bucket
from evergreen.storage.local import flush_folder

if TYPE_CHECKING:
    from evergreen.deployment.published_model import Manifest, Pointer

CURRENT = "current"
DOWNLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class PulledModel:
    """A model pulled into a local folder.

    Attributes:
        model_name: Name of the registered model.
        version: Its version.
        folder: The version's folder.
        current: The link that points to it.
        files: Number of files.
        changed: Whether this call switched to it.
        signed: Whether its manifest is signed with the configured key.
    """

    model_name: str
    version: str
    folder: str
    current: str
    files: int
    changed: bool
    signed: bool


def pull(uri: str, model_name: str, target: Path) -> PulledModel:
    """Download the published version of a model to a folder whose link ``current`` always points to one complete version.

    Args:
        uri: ``gs://bucket/prefix``, as in the deployment target.
        model_name: Name of the registered model.
        target: A local folder.

    Raises:
        DeploymentError: Nothing is published there, or the files do not match their manifest. The link is unchanged.
        StateError: The bucket cannot be used.
    """
    key = publishing_key()
    bucket, prefix = open_bucket(uri, "published models")
    source = _Source(bucket, f"{prefix}{folder_name(model_name)}/", uri)
    with google_errors(uri, bucket.name, "published models"):
        pointer = source.pointer(model_name)
        manifest = source.manifest(pointer, key)
        folder = target / pointer.folder
        if not folder.is_dir():
            source.download(pointer, manifest, folder)
    changed = _switch(target / CURRENT, Path(pointer.folder))
    return PulledModel(model_name, pointer.version, str(folder), str(target / CURRENT), len(manifest.files), changed, bool(key))


@dataclass(frozen=True)
class _Source:
    bucket: Any
    place: str
    uri: str

    def pointer(self, model_name: str) -> Pointer:
        content = self._read(POINTER)
        if content is None:
            raise DeploymentError(f"{self.uri}: no version of model {model_name!r} is published there. Add {self.uri} to deployment_targets.")
        return parse_pointer(content, f"{self.uri}: {self.place}{POINTER}")

    def manifest(self, pointer: Pointer, key: str) -> Manifest:
        name = f"{pointer.folder}/{MANIFEST}"
        content = self._read(name)
        if content is None:
            raise DeploymentError(
                f"{self.uri}: {self.place}{name} is missing, although {POINTER} names it. Publish the champion again by running the pipeline."
            )
        return parse_manifest(content, f"{self.uri}: {self.place}{name}", expected_sha256=pointer.manifest_sha256, key=key)

    def download(self, pointer: Pointer, manifest: Manifest, folder: Path) -> None:
        """Download all files into a temporary folder next to the target, verify them, and rename the folder."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
        try:
            with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
                for _ in pool.map(lambda file: self._fetch(pointer, file.path, file.sha256, unfinished / file.path), manifest.files):
                    pass
            unfinished.chmod(0o755)
            _flush(unfinished)
            try:
                unfinished.rename(folder)
            except OSError:
                # A concurrent pull downloaded the same files.
                if not folder.is_dir():
                    raise
            flush_folder(folder.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _fetch(self, pointer: Pointer, path: str, sha256: str, file: Path) -> None:
        from google.api_core.exceptions import NotFound

        name = f"{self.place}{pointer.folder}/{FILES}/{path}"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            google_service(self.uri, "published models").call(lambda: self.bucket.blob(name).download_to_filename(str(file), retry=None))
        except NotFound as error:
            raise DeploymentError(
                f"{self.uri}: {name} is missing, although the manifest lists it. Nothing was switched; publish the champion again."
            ) from error
        if file_sha256(file) != sha256:
            raise DeploymentError(f"{self.uri}: {name} does not match the checksum in the manifest. Nothing was switched; find out who changed it.")

    def _read(self, name: str) -> bytes | None:
        return google_service(self.uri, "published models").call(lambda: download_or_none(self.bucket.blob(f"{self.place}{name}")))


def _flush(folder: Path) -> None:
    # A device that loses power after the rename must not end up with empty files.
    for path in folder.rglob("*"):
        if path.is_dir():
            flush_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    flush_folder(folder)


def _switch(link: Path, folder: Path) -> bool:
    if link.is_symlink() and link.readlink() == folder:
        return False
    with tempfile.TemporaryDirectory(prefix=".switching-", dir=link.parent) as place:
        fresh = Path(place) / link.name
        fresh.symlink_to(folder)
        fresh.replace(link)
    flush_folder(link.parent)
    return True
