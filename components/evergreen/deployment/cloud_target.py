"""A bucket as a serving target: batch scorers, watchers and devices that poll it always see one complete version."""

from __future__ import annotations

import base64
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.published_model import FILES, MANIFEST, POINTER, Manifest, Pointer, manifest_of_files, parse_pointer, publishing_key
from evergreen.registry.ledger import folder_name
from evergreen.registry.versions import copy_model_directory
from evergreen.storage.google_cloud import google_errors, google_service, open_bucket

if TYPE_CHECKING:
    from evergreen.registry.versions import ModelRegistry

UPLOADS_AT_ONCE = 8
FLIPS = 10
"""How many times the pointer is read again if another writer changes it in the meantime."""


class GoogleCloudTarget:
    """Published versions below ``gs://bucket/prefix/MODEL/``; `published_model` describes the layout."""

    def __init__(self, uri: str, registry: ModelRegistry) -> None:
        """Store the location; no request is sent yet.

        Raises:
            StateError: The URI does not name a bucket, or there are no credentials.
        """
        self.name = uri.rstrip("/")
        self._registry = registry
        self._bucket, prefix = open_bucket(uri, "target")
        self._service = google_service(self.name, "target")
        self._place = f"{prefix}{folder_name(registry.model_name)}/"
        self._staged: dict[str, Manifest] = {}

    def stage(self, version: str) -> None:
        """Upload the missing files of the version, and then its manifest."""
        with self._registry.fetched(version) as files, tempfile.TemporaryDirectory() as folder:
            copy_model_directory(files, folder)
            manifest = manifest_of_files(Path(folder), model_name=self._registry.model_name, version=version, key=publishing_key())
            with google_errors(self.name, self._bucket.name, "target"):
                self._upload(Path(folder), manifest)
        self._staged[version] = manifest

    def set_traffic(self, version: str, share: float) -> None:
        """Point to the version for share 1; a pointer supports no shares in between."""
        if share == 1.0:
            self.finish(version)
        elif share != 0.0:
            raise DeploymentError(f"target {self.name!r}: traffic share {share} of version {version}: a pointer refers to a single version. Use 0 or 1.")

    def observe(self) -> dict[str, float]:
        """Return the version that the pointer refers to."""
        pointer, _ = self._pointer()
        return {pointer.version: 1.0} if pointer else {}

    def finish(self, version: str) -> None:
        """Move the pointer to the version, provided that no other writer moves it in the meantime."""
        from google.api_core.exceptions import PreconditionFailed

        if version not in self._staged:
            self.stage(version)
        wanted = _pointer_to(self._staged[version])
        for _ in range(FLIPS):
            pointer, generation = self._pointer()
            if pointer == wanted:
                return
            blob = self._bucket.blob(f"{self._place}{POINTER}")
            options = {"content_type": "application/json", "if_generation_match": generation, "retry": None}
            with google_errors(self.name, self._bucket.name, "target"):
                try:
                    self._service.call(partial(blob.upload_from_string, wanted.to_bytes(), **options))
                except PreconditionFailed:
                    # Another writer was first, or an earlier attempt of this call whose response was lost.
                    continue
        pointer, _ = self._pointer()
        if pointer != wanted:
            raise DeploymentError(f"target {self.name!r}: other writers keep moving the pointer away from version {version}. Run again.")

    def abort(self, version: str) -> None:
        """Keep the uploaded files: nothing points to them, and the next attempt continues from there."""
        self._staged.pop(version, None)

    def prune(self, version: str) -> None:
        """Delete the version's folder, starting with its manifest, so that no reader takes the rest for a complete version."""
        if version in self.observe():
            raise DeploymentError(f"target {self.name!r}: version {version} is being served and cannot be removed. Promote another version first.")
        with google_errors(self.name, self._bucket.name, "target"):
            for blob in sorted(self._listed(f"{self._place}versions/{version}-"), key=lambda blob: not blob.name.endswith(f"/{MANIFEST}")):
                self._service.call(partial(self._bucket.delete_blobs, [blob], on_error=lambda _: None, retry=None))

    def _pointer(self) -> tuple[Pointer | None, int]:
        with google_errors(self.name, self._bucket.name, "target"):
            return self._service.call(self._read_pointer)

    def _read_pointer(self) -> tuple[Pointer | None, int]:
        from google.api_core.exceptions import NotFound

        while True:
            blob = self._bucket.get_blob(f"{self._place}{POINTER}", retry=None)
            if blob is None:
                return None, 0
            try:
                content = blob.download_as_bytes(if_generation_match=blob.generation, retry=None)
            except NotFound:
                # The pointer changed between the two requests, so the old generation no longer exists.
                continue
            return parse_pointer(content, f"{self.name}: {blob.name}"), int(blob.generation)

    def _listed(self, prefix: str) -> list[Any]:
        return self._service.call(lambda: list(self._bucket.client.list_blobs(self._bucket, prefix=prefix, retry=None)))

    def _upload(self, folder: Path, manifest: Manifest) -> None:
        place = f"{self._place}{manifest.folder}/"
        present = {blob.name: blob.md5_hash for blob in self._listed(place)}

        def upload(path: str) -> None:
            self._create(f"{place}{FILES}/{path}", folder / path, present.get(f"{place}{FILES}/{path}"))

        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            for _ in pool.map(upload, [file.path for file in manifest.files]):
                pass
        file = folder.parent / f"{folder.name}.{MANIFEST}"
        file.write_bytes(manifest.to_bytes())
        try:
            self._create(f"{place}{MANIFEST}", file, present.get(f"{place}{MANIFEST}"))
        finally:
            file.unlink()

    def _create(self, name: str, file: Path, present_md5: str | None) -> None:
        from google.api_core.exceptions import PreconditionFailed

        md5 = _md5(file)
        blob: Any = self._bucket.blob(name)
        if present_md5 is None:
            try:
                # The precondition makes a repeated request harmless: an object left by a lost response is compared below.
                self._service.call(lambda: blob.upload_from_filename(str(file), if_generation_match=0, checksum="md5", retry=None))
            except PreconditionFailed:
                self._service.call(lambda: blob.reload(retry=None))
                present_md5 = blob.md5_hash
        if present_md5 not in (None, md5):
            raise DeploymentError(
                f"target {self.name!r}: object {name} already exists with different content: a published version was changed. "
                "Find out who wrote it, delete it, and run again."
            )


def _pointer_to(manifest: Manifest) -> Pointer:
    import hashlib

    return Pointer(manifest.model_name, manifest.version, manifest.folder, hashlib.sha256(manifest.to_bytes()).hexdigest())


def _md5(file: Path) -> str:
    import hashlib

    # Google Cloud Storage reports this checksum for its objects; security relies on the SHA-256 in the manifest.
    with file.open("rb") as content:
        digest = hashlib.md5(usedforsecurity=False)
        while block := content.read(1 << 20):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()
