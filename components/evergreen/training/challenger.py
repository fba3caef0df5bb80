"""Trains challengers for evaluation, and refits evaluated recipes as the models to deploy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, ModelDescription, is_present, manifest_of
from evergreen.data.times import iso_time
from evergreen.models.files import read_description
from evergreen.storage.experiments import Tracking, connect
from evergreen.training.data_warnings import look_at_rows
from evergreen.training.errors import TrainingError
from evergreen.training.fit import Fit, fit_recipe, measure_importances
from evergreen.training.job import read_job, row_weights
from evergreen.training.mlflow_logging import LoggedChallenger, find_logged, log_challenger
from evergreen.training.provenance import peak_memory_megabytes, surroundings
from evergreen.training.recipe import Recipe, challenger_id
from evergreen.training.search.memory import SearchMemory
from evergreen.training.settings import TrainingSettings
from evergreen.training.training_rows import TrainingRows, feature_kinds, label_classes, read_training_rows

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.training.request import TrainingRequest


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training step.

    Attributes:
        description: Description of the model.
        logged: Location of the model in MLflow.
        numbers: Finite numbers to display.
        reused: Whether the model comes from an earlier attempt.
        unlabelled: Number of rows left out because they have no label.
        warnings: Warnings about the rows; empty for a model from an earlier attempt.
    """

    description: ModelDescription
    logged: LoggedChallenger
    numbers: dict[str, float]
    reused: bool
    unlabelled: int
    warnings: list[str] = field(default_factory=list)


def train_challenger(request: TrainingRequest, *, model: Any, holdout_data: Any, model_name: str, tracking_uri: str) -> TrainingResult:
    """Fit a challenger on all but the newest rows, hold those out, and log the model.

    A challenger completed by an earlier attempt is fetched rather than fitted again.

    Args:
        request: Data and parameters of the challenger.
        model: Output artifact for the challenger.
        holdout_data: Output artifact for the rows that it has not seen.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.

    Raises:
        TrainingError: The data, the recipe or the tracking server does not allow training.
        PolicyError: The policy is invalid.
    """
    job = read_job(request)
    rows, recipe, classes, start = job.rows, job.recipe, job.classes, job.holdout_start
    to_fit, held_out = rows.parted(start)
    identifier = job.challenger_id
    tracking = connect(tracking_uri, model_name)
    logged = find_logged(tracking, identifier, model.path)
    _write_holdout(holdout_data, held_out, start=start, end=rows.window_end)
    if logged is not None:
        return _reuse(logged, model, rows)
    memory = SearchMemory(tracking, identifier) if recipe.search else None
    fit, description = fit_before(start, rows, recipe, classes=classes, identifier=identifier, memory=memory)
    found = look_at_rows(to_fit, held_out, target_column=rows.target_column, features=description.features, classes=classes)
    described = replace(description, training_data_uri=str(request.training_data.uri))
    return _log(tracking, fit, described, model, rows=rows, fitted_on=to_fit, role="challenger", warnings=found, data=request.training_data)


def refit_challenger(*, challenger: Any, training_data: Any, model: Any, model_name: str, tracking_uri: str) -> TrainingResult:
    """Fit an evaluated challenger's recipe on all rows, including its holdout, and log the model.

    The hyperparameters are those found by the challenger's search. The arguments are those of the component `refit_model`.

    Raises:
        TrainingError: There is no challenger, or the data or the tracking server does not allow training.
    """
    if not is_present(challenger):
        raise TrainingError("challenger: the artifact contains no model. Pass the output of train_model to refit_model.")
    judged = read_description(challenger.path)
    used = TrainingSettings(**judged.training_options)
    rows = read_training_rows(
        training_data.path,
        training_data.metadata,
        target_column=judged.target_column,
        timestamp_column=judged.timestamp_column,
        sample_rows=used.sample_rows,
        seed=judged.seed,
    )
    resolved, classes = label_classes(rows.frame[judged.target_column], judged.task)
    recipe = Recipe(resolved, judged.estimator, judged.hyperparameters, judged.seed, options=judged.training_options)
    columns = (judged.target_column, judged.timestamp_column)
    identifier = challenger_id(recipe, role=f"refit of {judged.challenger_id}", columns=columns, data_fingerprint=rows.fingerprint)
    tracking = connect(tracking_uri, model_name)
    logged = find_logged(tracking, identifier, model.path)
    if logged is None:
        fit, description = fit_all(rows, recipe, features=judged.features, classes=classes, identifier=identifier)
        described = replace(description, importances=judged.importances, training_data_uri=str(training_data.uri))
        return _log(tracking, fit, described, model, rows=rows, fitted_on=rows.frame, role="refit", warnings=[], data=training_data)
    return _reuse(logged, model, rows)


def fit_before(
    start: pd.Timestamp,
    rows: TrainingRows,
    recipe: Recipe,
    *,
    classes: list[Any],
    identifier: str,
    memory: SearchMemory | None = None,
) -> tuple[Fit, ModelDescription]:
    """Fit a recipe on the rows before the holdout, and measure the feature importances on the holdout.

    Args:
        start: Event time at which the holdout starts.
        rows: All labelled rows.
        recipe: The recipe of the model.
        classes: The classes; empty for regression.
        identifier: ID of the challenger.
        memory: Store for the scores of a search.

    Raises:
        TrainingError: The rows or the recipe do not allow training.
    """
    to_fit, held_out = rows.parted(start)
    features = feature_kinds(to_fit, rows.feature_names)
    weights = row_weights(recipe, rows.times.iloc[: len(to_fit)])
    fit = fit_recipe(recipe, to_fit, target_column=rows.target_column, features=features, classes=classes, weights=weights, memory=memory)
    importances = measure_importances(fit, held_out, target_column=rows.target_column, features=features, classes=classes)
    return fit, replace(_describe(fit, rows, features=features, fit_end=start, count=len(to_fit), identifier=identifier), importances=importances)


def fit_all(rows: TrainingRows, recipe: Recipe, *, features: dict[str, str], classes: list[Any], identifier: str) -> tuple[Fit, ModelDescription]:
    """Fit a recipe on all rows.

    Args:
        rows: All labelled rows.
        recipe: The recipe of the model.
        features: Kind of each feature.
        classes: The classes; empty for regression.
        identifier: ID of the model.

    Raises:
        TrainingError: The rows or the recipe do not allow training.
    """
    weights = row_weights(recipe, rows.times)
    fit = fit_recipe(recipe, rows.frame, target_column=rows.target_column, features=features, classes=classes, weights=weights)
    return fit, _describe(fit, rows, features=features, fit_end=rows.window_end, count=len(rows.frame), identifier=identifier)


def _write_holdout(artifact: Any, rows: pd.DataFrame, *, start: pd.Timestamp, end: pd.Timestamp) -> None:
    from pathlib import Path

    import pandas as pd

    Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
    # Dictionary encoding is wasted on numbers that hardly repeat.
    repeated = [str(name) for name, kind in rows.dtypes.items() if not pd.api.types.is_float_dtype(kind)]
    rows.to_parquet(artifact.path, index=False, use_dictionary=repeated)
    artifact.metadata.update({PRESENT: True, "rows": len(rows), "window_start": iso_time(start), "window_end": iso_time(end)})


def _classes_of(fit: Fit) -> list[Any]:
    return [value.item() if hasattr(value, "item") else value for value in fit.pipeline.classes_] if fit.recipe.task == "classification" else []


def _describe(fit: Fit, rows: TrainingRows, *, features: dict[str, str], fit_end: pd.Timestamp, count: int, identifier: str) -> ModelDescription:
    return ModelDescription(
        task=fit.recipe.task,
        target_column=rows.target_column,
        timestamp_column=rows.timestamp_column,
        features=dict(features),
        classes=_classes_of(fit),
        fit_start=iso_time(rows.times.iloc[0]),
        fit_end=iso_time(fit_end),
        rows=count,
        estimator=fit.recipe.estimator,
        hyperparameters=fit.recipe.hyperparameters,
        seed=fit.recipe.seed,
        data_fingerprint=rows.fingerprint,
        challenger_id=identifier,
        durations=fit.durations,
        training_options=fit.recipe.options,
    )


def _log(
    tracking: Tracking,
    fit: Fit,
    description: ModelDescription,
    model: Any,
    *,
    rows: TrainingRows,
    fitted_on: pd.DataFrame,
    role: str,
    warnings: list[str],
    data: Any,
) -> TrainingResult:
    numbers = _numbers(description, rows)
    facts = surroundings(manifest_of(data), data_uri=description.training_data_uri, warnings=warnings)
    logged = log_challenger(tracking, fit.pipeline, model.path, description=description, role=role, metrics=numbers, rows=fitted_on, facts=facts)
    _mark(model, description, logged)
    return TrainingResult(description=description, logged=logged, numbers=numbers, reused=False, unlabelled=rows.unlabelled, warnings=warnings)


def _reuse(logged: LoggedChallenger, model: Any, rows: TrainingRows) -> TrainingResult:
    description = read_description(model.path)
    _mark(model, description, logged)
    return TrainingResult(description=description, logged=logged, numbers=_numbers(description, rows), reused=True, unlabelled=rows.unlabelled)


def _numbers(description: ModelDescription, rows: TrainingRows) -> dict[str, float]:
    return {
        "rows": float(description.rows),
        "holdout_rows": float(len(rows.frame) - description.rows),
        "unlabelled_rows": float(rows.unlabelled),
        "features": float(len(description.features)),
        "peak_memory_megabytes": peak_memory_megabytes(),
        **{f"{phase}_seconds": float(seconds) for phase, seconds in description.durations.items()},
    }


def _mark(model: Any, description: ModelDescription, logged: LoggedChallenger) -> None:
    model.metadata.update(
        {
            PRESENT: True,
            "framework": "sklearn",
            "model_uri": logged.model_uri,
            "mlflow_run_id": logged.run_id,
            "challenger_id": description.challenger_id,
            "task": description.task,
            "fit_end": description.fit_end,
        }
    )
