"""Finds or creates a model's MLflow experiment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.errors import StateError
from evergreen.storage.tracking import open_client, sqlite_file, unusable_server

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class Tracking:
    """A connection to the tracking server, and the experiment that holds a model's runs."""

    client: MlflowClient
    uri: str
    experiment_id: str
    given_run_id: str


def connect(tracking_uri: str, model_name: str) -> Tracking:
    """Connect to the tracking server and find or create the experiment ``evergreen/<model_name>``.

    If ``MLFLOW_RUN_ID`` is set (KFP's own MLflow support sets it) and the server knows that run, the run and its experiment are used instead.

    Args:
        tracking_uri: The MLflow server, or ``sqlite:///file`` on one machine.
        model_name: Name of the registered model.

    Raises:
        StateError: The URI cannot work on a cluster, or the server does not answer or rejects the request.
        StateError: The experiment was deleted.
    """
    client = open_client(tracking_uri)
    from mlflow.exceptions import MlflowException

    run_id = os.environ.get("MLFLOW_RUN_ID", "")
    try:
        run = _known_run(client, run_id)
        experiment_id = run.info.experiment_id if run else _experiment(client, tracking_uri, f"evergreen/{model_name}")
    except MlflowException as error:
        raise unusable_server(tracking_uri, error) from error
    return Tracking(client=client, uri=tracking_uri, experiment_id=experiment_id, given_run_id=run_id if run else "")


def _known_run(client: MlflowClient, run_id: str) -> Run | None:
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _experiment(client: MlflowClient, tracking_uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=_artifact_location(tracking_uri))
        except MlflowException:
            # Another step may have created it in the meantime.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise StateError(f"MLflow experiment {name!r} at {tracking_uri} was deleted. Restore it, or choose another model_name.")
    return found.experiment_id


def _artifact_location(tracking_uri: str) -> str | None:
    # Without a server, MLflow puts artifacts into the working directory of whichever step runs first.
    file = sqlite_file(tracking_uri)
    return (file.parent / "mlartifacts").as_uri() if file else None
