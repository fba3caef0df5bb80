"""The plan of a hyperparameter search shared by parallel steps, with the same candidates as a search in one step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, read_json, write_json
from evergreen.data.json_values import plain
from evergreen.training.errors import TrainingError
from evergreen.training.fit import PreparedRows, check_recipe, prepare_rows
from evergreen.training.job import TrainingJob, read_job
from evergreen.training.recipe import Recipe, build_estimator
from evergreen.training.search.candidates import trials_of
from evergreen.training.search.running import searched_space
from evergreen.training.search.settings import MOST_CANDIDATES, SearchSettings
from evergreen.training.settings import row_weights
from evergreen.training.training_rows import feature_kinds

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.training.request import TrainingRequest


@dataclass(frozen=True)
class SearchPlan:
    """The plan of a parallel search.

    Attributes:
        challenger_id: ID of the challenger that the same search in one step would produce: a hash of data, recipe, columns and code version.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        recipe: Estimator, fixed hyperparameters, seed, search and holdout.
        rows: Number of rows before the holdout.
        shards: Number of parallel steps.
        candidates: Hyperparameters to try, in the same order as in a search in one step.
    """

    challenger_id: str
    target_column: str
    timestamp_column: str
    recipe: Recipe
    rows: int
    shards: int
    candidates: list[dict[str, Any]]


def read_plan(path: str | Path) -> SearchPlan:
    """Read a plan.

    Raises:
        ArtifactError: The file cannot be read.
        TrainingError: The file is not a plan.
    """
    content = read_json(path)
    try:
        return SearchPlan(**{**content, "recipe": Recipe(**content["recipe"])})
    except (KeyError, TypeError) as error:
        raise TrainingError(f"{path} is not the plan of a search. Pass the output plan of plan_search from the same version of Evergreen.") from error


def run_plan_step(request: TrainingRequest, *, plan: Any, shards: int) -> list[int]:
    """Draw the candidates, write them as a plan, and return the shard numbers; there are never more shards than candidates.

    Args:
        request: What is asked for.
        plan: Output artifact for the plan.
        shards: Requested number of parallel steps.

    Raises:
        TrainingError: The search cannot be divided, or the data or a parameter is invalid.
    """
    if not 1 <= shards <= MOST_CANDIDATES:
        raise TrainingError(f"Invalid shards {shards}: expected 1 to {MOST_CANDIDATES}. Use about as many as there are free nodes.")
    job = read_job(request)
    candidates = _candidates(job)
    used = min(shards, len(candidates))
    rows = len(rows_to_fit(job).rows.labels)
    made = SearchPlan(job.challenger_id, job.rows.target_column, job.rows.timestamp_column, job.recipe, rows, used, candidates)
    write_json(plan.path, asdict(made))
    plan.metadata.update({PRESENT: True, "candidates": len(candidates), "shards": used})
    return list(range(used))


def _candidates(job: TrainingJob) -> list[dict[str, Any]]:
    recipe = job.recipe
    if not recipe.search:
        raise TrainingError(
            "training_search none: there is nothing to divide among parallel steps. Use a search such as {n_iter: 10, space: {max_depth: [3, 6]}}."
        )
    settings = SearchSettings(**recipe.search)
    if settings.method != "random":
        raise TrainingError(
            f"training_search method {settings.method!r} cannot be divided among parallel steps, because its candidates depend on earlier scores. "
            "Use method random, or pass the search to train_model, which runs it in one step."
        )
    if settings.patience is not None:
        raise TrainingError(
            f"training_search patience {settings.patience} counts consecutive candidates, but parallel steps try them at the same time. "
            "Omit it (seconds limits each step), or pass the search to train_model, which runs it in one step."
        )
    check_recipe(recipe, weighted=row_weights(recipe, job.rows.times) is not None)
    space = searched_space(settings, build_estimator(recipe), recipe.estimator)
    first = [recipe.first_candidate] if recipe.first_candidate else []
    candidates = first + [trial.hyperparameters for trial in trials_of(settings, space, recipe.seed)]
    fixed = [recipe.hyperparameters, *candidates]
    for given, kept in zip(fixed, json.loads(json.dumps(plain(fixed))), strict=True):
        if given != kept:
            raise TrainingError(
                f"training_search: the candidate {given} would reach a parallel step as {kept}, because JSON cannot represent its values. "
                "Choose other values, or pass the search to train_model, which runs it in one step."
            )
    return candidates


def rows_to_fit(job: TrainingJob) -> PreparedRows:
    """Return the rows before the holdout, prepared for fitting candidates.

    Raises:
        TrainingError: The rows contain only one class, or lack the group column.
    """
    before = job.rows.times < job.holdout_start
    rows = job.rows.frame[before]
    features = feature_kinds(rows, job.rows.feature_names)
    weights = row_weights(job.recipe, job.rows.times[before])
    return prepare_rows(job.recipe, rows, target_column=job.rows.target_column, features=features, classes=job.classes, weights=weights)
