"""A search for hyperparameters whose candidates are scored in parallel steps, with the result of the search in one step."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evergreen.artifacts import PRESENT, read_json, write_json
from evergreen.run_log import plain
from evergreen.scoring import DEFAULT_METRIC
from evergreen.state import is_nothing
from evergreen.threads import fitting_threads
from evergreen.training.candidates import Trial, trials_of
from evergreen.training.errors import TrainingError
from evergreen.training.fit import PreparedRows, check_recipe, prepare_rows
from evergreen.training.job import TrainingJob, job_of, read_job, row_weights
from evergreen.training.mlflow_logging import connect
from evergreen.training.recipe import Recipe, build_estimator
from evergreen.training.search import nothing_fitted, score_trials, searched_space
from evergreen.training.search_memory import SearchMemory
from evergreen.training.search_settings import MOST_CANDIDATES, SearchSettings
from evergreen.training.training_rows import feature_kinds

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SearchPlan:
    """What parallel steps search for.

    Attributes:
        challenger_id: The challenger that one step with the same search would make: a hash of data, recipe, columns and code version.
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        recipe: Estimator, fixed hyperparameters, seed, search and holdout.
        rows: Number of rows before the holdout.
        shards: Number of parallel steps.
        candidates: Hyperparameters to try, in the order of the search in one step.
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
        TrainingError: The file holds something else.
    """
    content = read_json(path)
    try:
        return SearchPlan(**{**content, "recipe": Recipe(**content["recipe"])})
    except (KeyError, TypeError) as error:
        raise TrainingError(f"plan {path}: is none of a search. Give the step the output plan of plan_search, made by the same version.") from error


def run_plan_step(*, plan: Any, shards: int, **asked: Any) -> list[int]:
    """Draw the candidates, write them as a plan, and return the numbers of the shards; never more shards than candidates.

    Args:
        plan: Output artifact.
        shards: Number of parallel steps that is wanted.
        asked: Data and parameters, as for `evergreen.training.job.read_job`.

    Raises:
        TrainingError: The search cannot be divided, or the data or a parameter cannot be used.
    """
    if not 1 <= shards <= MOST_CANDIDATES:
        raise TrainingError(f"shards {shards}: expected 1 to {MOST_CANDIDATES} parts. Take about as many as there are free nodes.")
    job = read_job(**asked)
    candidates = _candidates(job)
    used = min(shards, len(candidates))
    rows = len(_rows_to_fit(job).rows.labels)
    made = SearchPlan(job.challenger_id, job.rows.target_column, job.rows.timestamp_column, job.recipe, rows, used, candidates)
    write_json(plan.path, asdict(made))
    plan.metadata.update({PRESENT: True, "candidates": len(candidates), "shards": used})
    return list(range(used))


def _candidates(job: TrainingJob) -> list[dict[str, Any]]:
    recipe = job.recipe
    if not recipe.search:
        raise TrainingError(
            "training_search none: there is nothing to divide among parallel steps. Write a search such as {n_iter: 10, space: {max_depth: [3, 6]}}."
        )
    settings = SearchSettings(**recipe.search)
    if settings.method != "random":
        raise TrainingError(
            f"training_search method {settings.method!r}: what it tries next depends on the scores before, so that it cannot be divided among parallel "
            "steps. Take method random, or give the search to train_model, which runs it in one step."
        )
    if settings.patience is not None:
        raise TrainingError(
            f"training_search patience {settings.patience}: it counts candidates one after another, and parallel steps try them at the same time. "
            "Leave it out (seconds limits each step), or give the search to train_model, which runs it in one step."
        )
    check_recipe(recipe, weighted=row_weights(recipe, job.rows.times) is not None)
    space = searched_space(settings, build_estimator(recipe), recipe.estimator)
    first = [recipe.first_candidate] if recipe.first_candidate else []
    candidates = first + [trial.hyperparameters for trial in trials_of(settings, space, recipe.seed)]
    fixed = [recipe.hyperparameters, *candidates]
    for given, kept in zip(fixed, json.loads(json.dumps(plain(fixed))), strict=True):
        if given != kept:
            raise TrainingError(
                f"training_search: the candidate {given} would reach a parallel step as {kept}, because JSON has no such values. "
                "Choose other values, or give the search to train_model, which runs it in one step."
            )
    return candidates


def _rows_to_fit(job: TrainingJob) -> PreparedRows:
    before = job.rows.times < job.holdout_start
    rows = job.rows.frame[before]
    features = feature_kinds(rows, job.rows.feature_names)
    weights = row_weights(job.recipe, job.rows.times[before])
    return prepare_rows(job.recipe, rows, target_column=job.rows.target_column, features=features, classes=job.classes, weights=weights)


def run_score_step(*, training_data: Any, plan: Any, candidate_scores: Any, shard: int, tracking_uri: str, model_name: str) -> int:
    """Score every n-th candidate of a plan of n shards, write the scores, and return how many candidates were tried.

    Args:
        training_data: Dataset artifact, the one that the plan was made from.
        plan: What `run_plan_step` wrote.
        candidate_scores: Output artifact.
        shard: Which part.
        tracking_uri: The MLflow server that keeps the scores for another attempt; ``none`` for nowhere.
        model_name: Name of the registered model, for the experiment.

    Raises:
        TrainingError: There is no such shard, or the plan was made from other data.
        StateError: The MLflow server refused or went away.
    """
    planned = read_plan(plan.path)
    if not 0 <= shard < planned.shards:
        raise TrainingError(f"shard {shard}: expected 0 to {planned.shards - 1}, as the plan has {planned.shards} shards.")
    job = job_of(planned.recipe, training_data=training_data, target_column=planned.target_column, timestamp_column=planned.timestamp_column)
    if job.challenger_id != planned.challenger_id:
        raise TrainingError(
            f"training data {training_data.uri}: is not what the plan was made from, or the plan is of another version of Evergreen. "
            "Give plan_search and score_candidates the same data and image."
        )
    memory = None
    if not is_nothing(tracking_uri):
        # A run for each shard: steps that begin at the same time must not make the same one twice.
        memory = SearchMemory(connect(tracking_uri, model_name), f"{job.challenger_id}-{shard}-of-{planned.shards}")
    numbers = range(shard, len(planned.candidates), planned.shards)
    prepared = _rows_to_fit(job)
    with fitting_threads(*prepared.rows.features.shape):
        pipeline = prepared.pipeline_with(build_estimator(job.recipe))
        trials = [Trial(planned.candidates[number]) for number in numbers]
        scored = score_trials(trials, pipeline, job.recipe, prepared.rows, memory=memory)
    # Fewer than planned are scored when the seconds are over.
    tried = [{"number": number, "score": each.score, "error": each.error} for number, each in zip(numbers, scored, strict=False)]
    write_json(candidate_scores.path, {"challenger_id": planned.challenger_id, "shard": shard, "trials": tried})
    candidate_scores.metadata.update({PRESENT: True, "tried": len(tried)})
    return len(tried)


def run_choose_step(*, plan: Any, candidate_scores: list[Any], trials: Any) -> dict[str, Any]:
    """Choose the candidate with the best score, the first of equals, and write all trials.

    Args:
        plan: What `run_plan_step` wrote.
        candidate_scores: What `run_score_step` wrote for each shard.
        trials: Output artifact.

    Returns:
        What was written: the chosen hyperparameters, with the fixed ones, their score, and every trial.

    Raises:
        TrainingError: A shard's scores are missing or of another plan, or no candidate could be fitted.
    """
    planned = read_plan(plan.path)
    found = _all_scores(planned, [read_json(scores.path) for scores in candidate_scores])
    listed = [_listed(planned, number, found.get(number)) for number in range(len(planned.candidates))]
    complete = [trial for trial in listed if trial["state"] == "complete"]
    if not complete:
        trouble = next((trial["error"] for trial in reversed(listed) if trial["error"]), "none could be scored")
        raise nothing_fitted(SearchSettings(**planned.recipe.search), planned.rows, trouble)
    # Of equals max returns the first, as the search in one step does.
    best = max(complete, key=lambda trial: float(trial["score"]))
    chosen = {
        "hyperparameters": {**planned.recipe.hyperparameters, **best["hyperparameters"]},
        "score": best["score"],
        "metric": DEFAULT_METRIC[planned.recipe.task],
        "number": best["number"],
        "estimator": planned.recipe.estimator,
        "trials": listed,
    }
    write_json(trials.path, chosen)
    trials.metadata.update({PRESENT: True, "score": best["score"], "candidates": len(listed), "complete": len(complete)})
    return chosen


def _all_scores(planned: SearchPlan, parts: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    for part in parts:
        if part.get("challenger_id") != planned.challenger_id:
            raise TrainingError("candidate scores: they are of another plan. Give choose_candidate the plan that score_candidates had.")
    given = sorted(part["shard"] for part in parts)
    if given != list(range(planned.shards)):
        raise TrainingError(
            f"candidate scores: those of shards {given} are here; expected each of 0 to {planned.shards - 1} once. Score every shard of the plan."
        )
    return {trial["number"]: trial for part in parts for trial in part["trials"]}


def _listed(planned: SearchPlan, number: int, found: dict[str, Any] | None) -> dict[str, Any]:
    listed = {"number": number, "shard": number % planned.shards, "hyperparameters": planned.candidates[number]}
    if found is None:
        return {**listed, "state": "not tried", "score": None, "error": ""}
    failed = found["score"] is None or not math.isfinite(found["score"])
    return {**listed, "state": "failed" if failed else "complete", "score": found["score"], "error": found["error"]}
