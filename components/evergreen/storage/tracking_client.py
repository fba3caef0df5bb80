"""A wrapper of MLflow's client that retries each call while the server is unavailable, yet performs it only once.

Most calls can be repeated safely. Calls that create something cannot: if the response is lost, the object exists, and a
second request would create it twice. Such a request therefore carries a unique tag by which the next attempt finds what
the earlier one created.
"""

from __future__ import annotations

import functools
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evergreen.storage.tracked_files import single_attempts, upload_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

    from evergreen.storage.retries.service import Service

REQUEST_TAG = "evergreen.request"
"""Tag with a unique value for each request that creates a run, a logged model, a version or a claim."""


def retrying_client(client: MlflowClient, service: Service) -> MlflowClient:
    """Return a client with the same interface that waits while the server is unavailable.

    Args:
        client: MLflow's own client.
        service: The server that calls wait for.
    """
    return cast("MlflowClient", _RetryingClient(client, service))


class _RetryingClient:
    """Methods that are not defined here are forwarded and retried unchanged."""

    def __init__(self, client: MlflowClient, service: Service) -> None:
        self._client, self._service = client, service

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found) or name.startswith("_"):
            return found
        # An unknown create method could create its object twice if retried.
        if name.startswith("create_"):
            return found

        @functools.wraps(found)
        def call(*values: Any, **named: Any) -> Any:
            return self._service.call(lambda: found(*values, **named))

        return call

    def create_experiment(self, name: str, **options: Any) -> str:
        def landed() -> str | None:
            experiment = self._client.get_experiment_by_name(name)
            return None if experiment is None else str(experiment.experiment_id)

        return self._service.call(lambda: self._client.create_experiment(name, **options), landed=landed)

    def create_run(self, experiment_id: str, *, tags: dict[str, str] | None = None, **options: Any) -> Any:
        find = functools.partial(self._client.search_runs, [experiment_id], max_results=1)
        return self._made_once(functools.partial(self._client.create_run, experiment_id, **options), tags, lambda tag: find(filter_string=f"tags.{tag}"))

    def create_logged_model(self, experiment_id: str, *, tags: dict[str, str] | None = None, **options: Any) -> Any:
        find = functools.partial(self._client.search_logged_models, [experiment_id], max_results=1)
        return self._made_once(
            functools.partial(self._client.create_logged_model, experiment_id, **options), tags, lambda tag: find(filter_string=f"tags.{tag}")
        )

    def create_model_version(self, name: str, source: str, *, tags: dict[str, str] | None = None, **options: Any) -> Any:
        quoted = name.replace("'", "\\'")
        make = functools.partial(self._client.create_model_version, name, source, **options)
        return self._made_once(make, tags, lambda tag: self._client.search_model_versions(f"name = '{quoted}' and tag.{tag}"))

    def create_registered_model(self, name: str, tags: dict[str, str] | None = None, **options: Any) -> Any:
        if not tags:
            # A caller that passes no tags accepts an existing model as well.
            return self._service.call(lambda: self._client.create_registered_model(name, **options))
        mine = uuid.uuid4().hex

        def landed() -> Any:
            from mlflow.exceptions import MlflowException

            try:
                model = self._client.get_registered_model(name)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
            return model if model.tags.get(REQUEST_TAG) == mine else None

        return self._service.call(lambda: self._client.create_registered_model(name, {**tags, REQUEST_TAG: mine}, **options), landed=landed)

    def delete_model_version(self, name: str, version: str) -> None:
        from mlflow.exceptions import MlflowException

        def landed() -> bool | None:
            try:
                self._client.get_model_version(name, version)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return True
                raise
            return None

        self._service.call(lambda: self._client.delete_model_version(name, version), landed=landed)

    def log_outputs(self, run_id: str, models: list[Any]) -> None:
        def landed() -> bool | None:
            outputs = self._client.get_run(run_id).outputs
            known = {output.model_id for output in (outputs.model_outputs if outputs else None) or []}
            return True if known >= {model.model_id for model in models} else None

        self._service.call(lambda: self._client.log_outputs(run_id, models), landed=landed)

    def log_metric(self, run_id: str, key: str, value: float, *, step: int = 0) -> None:
        # Fix the timestamp: MLflow stores the same metric with another timestamp as a second value.
        now = int(time.time() * 1000)
        self._service.call(lambda: self._client.log_metric(run_id, key, value, timestamp=now, step=step))

    def log_model_artifacts(self, model_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        upload_files(self._client, self._service, model_id, Path(local_dir), artifact_path)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        with single_attempts():
            self._service.call(lambda: self._client.log_text(run_id, text, artifact_file))

    def _made_once(self, make: Callable[..., Any], tags: dict[str, str] | None, find: Callable[[str], Any]) -> Any:
        """Create an object with a unique tag, unless an earlier attempt whose response was lost has already created it."""
        mine = uuid.uuid4().hex

        def landed() -> Any:
            return next(iter(find(f"`{REQUEST_TAG}` = '{mine}'")), None)

        return self._service.call(lambda: make(tags={**(tags or {}), REQUEST_TAG: mine}), landed=landed)
