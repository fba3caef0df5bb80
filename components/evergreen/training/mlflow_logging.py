"""Logs a challenger to MLflow: a run that documents its training, and a logged model that can be registered.

Only `MlflowClient` is used, with the server's address passed to each call: the fluent interface keeps global state, which a
step would share with whatever set ``MLFLOW_RUN_ID`` before it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain, to_json
from evergreen.errors import StateError
from evergreen.models.files import DESCRIPTION_FILE, save_model
from evergreen.secrets.redaction import mask, mask_json
from evergreen.storage.local_paths import check_local_uri
from evergreen.storage.tracked_files import download_files
from evergreen.storage.tracking import unusable_server
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.data.artifacts import ModelDescription
    from evergreen.storage.experiments import Tracking

ID_TAG = "evergreen.challenger_id"
MODEL_NAME = "model"
LONGEST_TEXT = 500


@dataclass(frozen=True)
class LoggedChallenger:
    """Location of a challenger in MLflow."""

    model_uri: str
    run_id: str


def find_logged(tracking: Tracking, challenger_id: str, path: str | Path) -> LoggedChallenger | None:
    """Fetch a challenger logged by an earlier attempt, so that a rerun logs nothing twice.

    Args:
        tracking: The connection.
        challenger_id: ID of the challenger.
        path: Path for the model directory.

    Returns:
        Its location in MLflow, or None if it does not exist or is incomplete.

    Raises:
        StateError: The server rejected a request or became unreachable.
    """
    from mlflow.entities import LoggedModelStatus
    from mlflow.exceptions import MlflowException

    try:
        found = tracking.client.search_logged_models([tracking.experiment_id], filter_string=f"tags.`{ID_TAG}` = '{challenger_id}'")
        for model in found:
            # Use its location: MLflow resolves models:/m-... at its global tracking URI, whatever it is given.
            if model.status == LoggedModelStatus.READY and _fetch(model.artifact_location, path, tracking.uri):
                return LoggedChallenger(model_uri=f"models:/{model.model_id}", run_id=model.source_run_id or "")
    except MlflowException as error:
        raise unusable_server(tracking.uri, error) from error
    return None


def _fetch(location: str, path: str | Path, tracking_uri: str) -> bool:
    from mlflow.exceptions import MlflowException

    check_local_uri(location, thing=f"logged model at {location!r}", error_class=TrainingError)
    _clear(path)
    try:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(download_files(location, folder, tracking_uri), path)
    except (MlflowException, OSError):
        # Its files were cleaned up, so it will be fitted and logged again.
        return False
    return (Path(path) / DESCRIPTION_FILE).is_file()


def _clear(path: str | Path) -> None:
    # Remove what an attempt left behind that was killed while writing.
    if Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def log_challenger(
    tracking: Tracking,
    pipeline: Any,
    path: str | Path,
    *,
    description: ModelDescription,
    role: str,
    metrics: dict[str, float],
    rows: pd.DataFrame,
    facts: dict[str, Any] | None = None,
) -> LoggedChallenger:
    """Save a fitted pipeline to a directory and log that directory to MLflow, with a run that documents its training.

    Args:
        tracking: The connection.
        pipeline: The fitted pipeline.
        path: The directory to create.
        description: Description of the model.
        role: ``challenger`` or ``refit``.
        metrics: Numbers to log.
        rows: Rows that it was fitted on; its predictions for some of them are recorded with it.
        facts: Further information needed to reproduce the model; logged as ``training.json``.

    Raises:
        StateError: The server rejected a request or became unreachable.
        ModelError: The pipeline cannot be saved safely.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    tags = mask_json(_tags(description, role))
    client = tracking.client
    run_id = ""
    try:
        run_id = tracking.given_run_id or client.create_run(tracking.experiment_id, run_name=f"{role}-{description.challenger_id[:8]}", tags=tags).info.run_id
        logged = client.create_logged_model(tracking.experiment_id, name=MODEL_NAME, source_run_id=run_id, tags=tags)
        entry = Model(artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run_id, model_id=logged.model_id)
        _clear(path)
        save_model(pipeline, path, description=description, mlflow_model=entry, rows=rows)
        client.log_model_artifacts(logged.model_id, str(path))
        client.log_outputs(run_id, models=[LoggedModelOutput(logged.model_id, step=0)])
        _log_run(tracking, run_id, description, metrics, tags)
        if facts is not None:
            client.log_text(run_id, to_json(mask_json(plain({**facts, "recipe": _recipe(description)}))).decode(), f"training-{description.challenger_id}.json")
        # Set READY last: an attempt killed before that leaves a model that no rerun mistakes for a complete one.
        client.finalize_logged_model(logged.model_id, "READY")
        _end(tracking, run_id, "FINISHED")
    except (MlflowException, OSError) as error:
        _end_quietly(tracking, run_id)
        raise unusable_server(tracking.uri, error) from error
    except Exception:
        _end_quietly(tracking, run_id)
        raise
    return LoggedChallenger(model_uri=f"models:/{logged.model_id}", run_id=run_id)


def _tags(description: ModelDescription, role: str) -> dict[str, str]:
    return {
        ID_TAG: description.challenger_id,
        "evergreen.role": role,
        "evergreen.task": description.task,
        "evergreen.fit_start": description.fit_start,
        "evergreen.fit_end": description.fit_end,
        "evergreen.data_fingerprint": description.data_fingerprint,
    }


def _recipe(description: ModelDescription) -> dict[str, Any]:
    names = ("estimator", "hyperparameters", "seed", "training_options", "features", "classes", "fit_start", "fit_end", "rows", "data_fingerprint", "durations")
    return {name: getattr(description, name) for name in names}


def _log_run(tracking: Tracking, run_id: str, description: ModelDescription, metrics: dict[str, float], tags: dict[str, str]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    # Use one request for everything, because each request has a fixed cost.
    now = int(time.time() * 1000)
    numbers = [Metric(name, value, now, 0) for name, value in metrics.items()]
    recipe = {"estimator": description.estimator, "seed": str(description.seed)}
    # Mask before truncating: a truncated secret would not be recognised.
    recipe.update({f"hyperparameters.{name}": mask(str(value))[:LONGEST_TEXT] for name, value in description.hyperparameters.items()})
    if not tracking.given_run_id:
        tracking.client.log_batch(run_id, metrics=numbers, params=[Param(name, text) for name, text in recipe.items()])
        return
    # KFP logs each step's inputs to that run as parameters; a second value under the same name makes MLflow reject the batch.
    told = {**tags, **{f"evergreen.{name}": text for name, text in recipe.items()}}
    tracking.client.log_batch(run_id, metrics=numbers, tags=[RunTag(name, text) for name, text in told.items()])


def _end(tracking: Tracking, run_id: str, status: str) -> None:
    if run_id and run_id != tracking.given_run_id:
        tracking.client.set_terminated(run_id, status)


def _end_quietly(tracking: Tracking, run_id: str) -> None:
    import contextlib

    from mlflow.exceptions import MlflowException

    # Report the first error. The server may be gone; do not wait for it again.
    with contextlib.suppress(MlflowException, OSError, StateError):
        _end(tracking, run_id, "FAILED")
