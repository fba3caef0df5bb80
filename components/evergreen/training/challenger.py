"""Trains challengers for evaluation, and refits evaluated recipes as the models to deploy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.data.artifacts import PRESENT, ModelDescription, is_present, manifest_of
from evergreen.data.times import iso_time
from evergreen.models.files import load_model, read_description
from evergreen.storage.experiments import Tracking, connect
from evergreen.training.data_warnings import look_at_rows
from evergreen.training.description import fit_part
from evergreen.training.errors import TrainingError
from evergreen.training.fit import Fit
from evergreen.training.job import read_job
from evergreen.training.mlflow_logging import LoggedChallenger, find_logged, log_challenger
from evergreen.training.plan import FORMER_CHAMPION, choose_for, chosen_plan, ordinary_plan
from evergreen.training.provenance import peak_memory_megabytes, surroundings
from evergreen.training.recipe import Recipe, challenger_id
from evergreen.training.search.memory import SearchMemory
from evergreen.training.settings import TrainingSettings
from evergreen.training.training_rows import TrainingRows, label_classes, read_training_rows

if TYPE_CHECKING:
    from evergreen.results.candidates import CandidateChoice
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
        choice: What it was chosen among; None if nothing was chosen.
    """

    description: ModelDescription
    logged: LoggedChallenger
    numbers: dict[str, float]
    reused: bool
    unlabelled: int
    warnings: list[str] = field(default_factory=list)
    choice: CandidateChoice | None = None


def train_challenger(
    request: TrainingRequest, *, model: Any, holdout_data: Any, model_name: str, tracking_uri: str, ledger_uri: str = "none"
) -> TrainingResult:
    """Fit a challenger on all but the newest rows, hold those out, and log the model.

    If the decision says that the relation between inputs and label may have changed, the challenger is chosen among several training windows and
    former champions (see `evergreen.training.choice`). A challenger completed by an earlier attempt is fetched rather than fitted again.

    Args:
        request: Data and parameters of the challenger.
        model: Output artifact for the challenger.
        holdout_data: Output artifact for the rows that it has not seen, and for those predicted in advance.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger, which names former champions; ``none`` for none.

    Raises:
        TrainingError: The data, the recipe or the tracking server does not allow training.
    """
    job = read_job(request)
    rows = job.rows
    choice, notes = choose_for(job, request, model_name=model_name, tracking_uri=tracking_uri, ledger_uri=ledger_uri)
    plan = ordinary_plan(job) if choice is None else chosen_plan(job, choice)
    tracking = connect(tracking_uri, model_name)
    logged = find_logged(tracking, plan.identifier, model.path)
    _write_holdout(holdout_data, plan.held_out(rows), start=rows.times.iloc[plan.compared_from], end=rows.window_end)
    told = None if choice is None else choice.told
    if logged is not None:
        return replace(_reuse(logged, model, rows, held_out=len(rows.frame) - plan.before), choice=told, warnings=notes)
    memory = SearchMemory(tracking, plan.identifier) if plan.recipe.search else None
    fit, description = plan.fit(rows, classes=job.classes, memory=memory)
    to_fit, held_out = rows.frame.iloc[plan.first : plan.before], rows.frame.iloc[plan.before :]
    found = [*notes, *look_at_rows(to_fit, held_out, target_column=rows.target_column, features=description.features, classes=job.classes)]
    described = description if plan.former is not None else replace(description, training_data_uri=str(request.training_data.uri))
    held, data = len(rows.frame) - plan.before, request.training_data
    result = _log(tracking, fit, described, model, rows=rows, held_out=held, fitted_on=to_fit, role="challenger", warnings=found, data=data)
    return replace(result, choice=told)


def refit_challenger(*, challenger: Any, training_data: Any, model: Any, model_name: str, tracking_uri: str) -> TrainingResult:
    """Fit an evaluated challenger's recipe on all rows of its training window, including its holdout, and log the model.

    The hyperparameters are those found by the challenger's search. A former champion is logged as it is. The arguments are those of the component
    `refit_model`.

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
    if logged is not None:
        return _reuse(logged, model, rows, held_out=0)
    if judged.origin == FORMER_CHAMPION:
        fit, described = _as_it_was(challenger, recipe, identifier)
    else:
        fit, described = fit_all(rows, recipe, features=judged.features, classes=classes, identifier=identifier, since=judged.fit_start)
        described = replace(described, importances=judged.importances, origin=judged.origin, training_data_uri=str(training_data.uri))
    fitted_on = rows.frame if judged.origin == FORMER_CHAMPION else rows.frame[rows.times >= pd.Timestamp(described.fit_start)]
    return _log(tracking, fit, described, model, rows=rows, held_out=0, fitted_on=fitted_on, role="refit", warnings=[], data=training_data)


def _as_it_was(challenger: Any, recipe: Recipe, identifier: str) -> tuple[Fit, ModelDescription]:
    """Return a former champion under a new ID: a version of its own, with the evidence of its new evaluation.

    What it was fitted on stays recorded, so that it can be reproduced from these rows.
    """
    former = load_model(challenger.path)
    return Fit(former.pipeline, recipe, {}), replace(former.description, challenger_id=identifier)


def fit_all(
    rows: TrainingRows, recipe: Recipe, *, features: dict[str, str], classes: list[Any], identifier: str, since: str = ""
) -> tuple[Fit, ModelDescription]:
    """Fit a recipe on all rows since a certain time.

    Args:
        rows: All labelled rows.
        recipe: The recipe of the model.
        features: Kind of each feature.
        classes: The classes; empty for regression.
        identifier: ID of the model.
        since: Event time of the first row to fit on, ISO; empty for all rows.

    Raises:
        TrainingError: The rows or the recipe do not allow training.
    """
    first = int(rows.times.searchsorted(pd.Timestamp(since))) if since else 0
    return fit_part(rows, recipe, features=features, classes=classes, identifier=identifier, first=first)


def _write_holdout(artifact: Any, rows: pd.DataFrame, *, start: pd.Timestamp, end: pd.Timestamp) -> None:
    from pathlib import Path

    Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
    # Dictionary encoding is wasted on numbers that hardly repeat.
    repeated = [str(name) for name, kind in rows.dtypes.items() if not pd.api.types.is_float_dtype(kind)]
    rows.to_parquet(artifact.path, index=False, use_dictionary=repeated)
    artifact.metadata.update({PRESENT: True, "rows": len(rows), "window_start": iso_time(start), "window_end": iso_time(end)})


def _log(
    tracking: Tracking,
    fit: Fit,
    description: ModelDescription,
    model: Any,
    *,
    rows: TrainingRows,
    held_out: int,
    fitted_on: pd.DataFrame,
    role: str,
    warnings: list[str],
    data: Any,
) -> TrainingResult:
    numbers = _numbers(description, rows, held_out)
    facts = surroundings(manifest_of(data), data_uri=description.training_data_uri, warnings=warnings)
    logged = log_challenger(tracking, fit.pipeline, model.path, description=description, role=role, metrics=numbers, rows=fitted_on, facts=facts)
    _mark(model, description, logged)
    return TrainingResult(description=description, logged=logged, numbers=numbers, reused=False, unlabelled=rows.unlabelled, warnings=warnings)


def _reuse(logged: LoggedChallenger, model: Any, rows: TrainingRows, *, held_out: int) -> TrainingResult:
    description = read_description(model.path)
    _mark(model, description, logged)
    return TrainingResult(description=description, logged=logged, numbers=_numbers(description, rows, held_out), reused=True, unlabelled=rows.unlabelled)


def _numbers(description: ModelDescription, rows: TrainingRows, held_out: int) -> dict[str, float]:
    return {
        "rows": float(description.rows),
        "holdout_rows": float(held_out),
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
