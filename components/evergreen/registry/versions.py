"""Registered versions in MLflow: create and find versions, fetch their files, and move the alias."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.registry.errors import RegistryError
from evergreen.secrets.redaction import mask, mask_json
from evergreen.storage.local_paths import check_local_uri
from evergreen.storage.tracked_files import download_files
from evergreen.storage.tracking import open_client, unusable_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

ALIAS = "champion"
CHALLENGER_TAG = "evergreen.challenger_id"
LEDGER_HEAD_TAG = "evergreen.ledger_head"
APPROVAL_TAG = "evergreen.approval"
ROLLED_BACK_TAG = "evergreen.rolled_back"
RETIRED_TAG = "evergreen.retired"
SEMANTIC_VERSION_TAG = "evergreen.semantic_version"
EVIDENCE_FOLDER = "evergreen"
"""Folder in the model's directory with reference sample, contract, baseline and model card."""


class ModelRegistry:
    """The versions of one registered model."""

    def __init__(self, tracking_uri: str, model_name: str) -> None:
        """Connect to the server.

        Args:
            tracking_uri: Address of the MLflow server.
            model_name: Name of the registered model.

        Raises:
            StateError: The server cannot be reached, or the URI is invalid.
        """
        self.tracking_uri = tracking_uri
        self.model_name = model_name
        self._client = open_client(tracking_uri)

    def alias_version(self) -> str | None:
        """Return the version behind the alias ``champion``, or None."""
        with self._errors():
            model = self._model()
            return str(model.aliases[ALIAS]) if model is not None and ALIAS in model.aliases else None

    def move_alias(self, version: str) -> None:
        """Move the alias ``champion`` to a version."""
        self._set(self._client.set_registered_model_alias, ALIAS, version)

    def exists(self) -> bool:
        """Return whether the registered model exists."""
        with self._errors():
            return self._model() is not None

    def note_ledger_head(self, number: int, record_hash: str) -> None:
        """Store number and hash of the ledger's newest record as a tag, so that a truncated ledger is detected."""
        self._set(self._client.set_registered_model_tag, LEDGER_HEAD_TAG, f"{number}:{record_hash}")

    def noted_ledger_head(self) -> str:
        """Return the head stored by `note_ledger_head`, ``number:hash``, or an empty text."""
        with self._errors():
            model = self._model()
            return str(model.tags.get(LEDGER_HEAD_TAG, "")) if model is not None else ""

    def version(self, version: str) -> ModelVersion:
        """Return a version.

        Raises:
            RegistryError: The version does not exist.
        """
        from mlflow.exceptions import MlflowException

        with self._errors():
            try:
                return self._client.get_model_version(self.model_name, version)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise RegistryError(
                        f"model {self.model_name!r} has no version {version} at {self.tracking_uri}. Check the number, and that this is the server "
                        "to which the ledger belongs."
                    ) from error
                raise

    def describe(self, version: str) -> dict[str, Any]:
        """Return the registry's data on a version, with parameters and metrics of its training run.

        Raises:
            RegistryError: The version does not exist.
        """
        registered = self.version(version)
        described = {name: getattr(registered, name) for name in ("name", "version", "creation_timestamp", "source", "run_id", "model_id", "status", "tags")}
        if registered.run_id:
            with self._errors():
                run = self._client.get_run(registered.run_id)
                described["run"] = {"parameters": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags}
        return described

    def find_challenger(self, challenger_id: str) -> ModelVersion | None:
        """Return the version that was made from a challenger, or None."""
        with self._errors():
            found = self._client.search_model_versions(f"name = '{_quoted(self.model_name)}' and tag.`{CHALLENGER_TAG}` = '{challenger_id}'")
            return min(found, key=lambda version: int(version.version), default=None)

    def register(self, *, model_id: str, run_id: str, challenger_id: str, tags: dict[str, str]) -> ModelVersion:
        """Return the version of a challenger, creating it if there is none.

        Its identifying tag is set in the same request, so that a killed attempt leaves either nothing or a version that the
        next attempt finds.
        """
        from mlflow.exceptions import MlflowException

        existing = self.find_challenger(challenger_id)
        if existing is not None:
            return existing
        with self._errors():
            try:
                self._client.create_registered_model(self.model_name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # Use its location: MLflow resolves models:/m-... at its global tracking URI, regardless of the client's server.
            # Without a run, it looks up the model there, too.
            logged = self._client.get_logged_model(model_id)
            made = self._client.create_model_version(
                self.model_name,
                source=logged.artifact_location,
                run_id=run_id or logged.source_run_id,
                model_id=model_id,
                tags=mask_json({**tags, CHALLENGER_TAG: challenger_id}),
            )
            # MLflow has no unique key for tags: of two concurrent attempts, the later one deletes its version again.
            first = self.find_challenger(challenger_id)
            if first is None or int(first.version) == int(made.version):
                return made
            self._client.delete_model_version(self.model_name, str(made.version))
            return first

    def register_files(self, files: Path, *, challenger_id: str, tags: dict[str, str]) -> str:
        """Log a model directory unchanged, including the evidence, and return the version created from it.

        The version is created last: a killed attempt leaves only an unreferenced logged model.
        """
        from evergreen.storage.experiments import connect

        tracking = connect(self.tracking_uri, self.model_name)
        with self._errors():
            run = self._client.create_run(tracking.experiment_id, run_name=f"copy-{challenger_id[:8]}", tags={CHALLENGER_TAG: challenger_id})
            logged = self._client.create_logged_model(tracking.experiment_id, name="model", source_run_id=run.info.run_id, tags={CHALLENGER_TAG: challenger_id})
            self._client.log_model_artifacts(logged.model_id, str(files))
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._client.set_terminated(run.info.run_id)
        return str(self.register(model_id=logged.model_id, run_id=run.info.run_id, challenger_id=challenger_id, tags=tags).version)

    def tag_version(self, version: str, name: str, value: str) -> None:
        """Set a tag of a version."""
        self._set(self._client.set_model_version_tag, version, name, mask(value))

    def clear_tag(self, version: str, name: str) -> None:
        """Remove a tag of a version; does nothing if the tag does not exist."""
        with self._errors():
            self._client.delete_model_version_tag(self.model_name, version, name)

    def all_versions(self) -> list[ModelVersion]:
        """Return every version of the model."""
        found: list[ModelVersion] = []
        with self._errors():
            token = None
            while True:
                page = self._client.search_model_versions(f"name = '{_quoted(self.model_name)}'", page_token=token)
                found.extend(page)
                token = page.token
                if not token:
                    return found

    def tagged_versions(self, name: str, value: str) -> list[str]:
        """Return the versions that have a tag with this value, oldest first."""
        with self._errors():
            found = self._client.search_model_versions(f"name = '{_quoted(self.model_name)}' and tag.`{name}` = '{_quoted(value)}'")
            return sorted((str(version.version) for version in found), key=int)

    def add_evidence(self, model_id: str, folder: Path) -> None:
        """Store the files of a folder with a logged model, below ``evergreen/``."""
        with self._errors():
            self._client.log_model_artifacts(model_id, str(folder), EVIDENCE_FOLDER)

    @contextmanager
    def fetched(self, version: str) -> Iterator[Path]:
        """Download all files of a version into a temporary folder.

        Raises:
            RegistryError: The version does not exist, or its files cannot be fetched.
            StateError: The server remains unreachable.
        """
        from mlflow.exceptions import MlflowException

        registered = self.version(version)
        with tempfile.TemporaryDirectory() as folder:
            try:
                location = self._client.get_logged_model(registered.model_id).artifact_location if registered.model_id else registered.source
                check_local_uri(str(location), thing=f"version {version} of model {self.model_name!r}", error_class=RegistryError)
                files = download_files(location, folder, self.tracking_uri)
            except (MlflowException, OSError) as error:
                raise RegistryError(
                    f"version {version} of model {self.model_name!r}: cannot fetch its files from {registered.source}: {error}. Check the artifact store."
                ) from error
            yield files

    def _model(self) -> RegisteredModel | None:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(self.model_name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _set(self, setter: Callable[..., Any], *values: str) -> None:
        """Set a tag or an alias of the model."""
        from mlflow.exceptions import MlflowException

        with self._errors():
            try:
                setter(self.model_name, *values)
            except MlflowException as error:
                # MLflow inserts what it did not find. Of two concurrent first writes, one is rejected and succeeds when it tries again.
                if "unique constraint" not in str(error).lower():
                    raise
                setter(self.model_name, *values)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            raise unusable_server(self.tracking_uri, error) from error


def model_names(tracking_uri: str) -> list[str]:
    """Return the names of all registered models.

    Raises:
        StateError: The server cannot be used.
    """
    from mlflow.exceptions import MlflowException

    client, names, token = open_client(tracking_uri), [], None
    try:
        while True:
            page = client.search_registered_models(page_token=token)
            names += [str(model.name) for model in page]
            token = page.token
            if not token:
                return sorted(names)
    except MlflowException as error:
        raise unusable_server(tracking_uri, error) from error


def _quoted(text: str) -> str:
    return text.replace("'", "\\'")


def copy_model_directory(files: Path, target: str) -> None:
    """Copy a version's model directory without the evidence in it."""
    shutil.copytree(files, target, dirs_exist_ok=True, ignore=lambda folder, _: {EVIDENCE_FOLDER} if Path(folder) == files else set())
