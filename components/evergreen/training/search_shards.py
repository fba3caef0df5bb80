"""A search for hyperparameters whose candidates are scored in parallel steps, with the result of the search in one step."""

from __future__ import annotations

import math
from typing import Any

from evergreen.data.artifacts import PRESENT, read_json, write_json
from evergreen.metrics.scoring import DEFAULT_METRIC
from evergreen.models.threads import fitting_threads
from evergreen.storage.experiments import connect
from evergreen.storage.uris import is_nothing
from evergreen.training.errors import TrainingError
from evergreen.training.job import job_of
from evergreen.training.recipe import build_estimator
from evergreen.training.search.candidates import Trial
from evergreen.training.search.memory import SearchMemory
from evergreen.training.search.running import nothing_fitted, score_trials
from evergreen.training.search.settings import SearchSettings
from evergreen.training.search_plan import SearchPlan, read_plan, rows_to_fit


def run_score_step(*, training_data: Any, plan: Any, candidate_scores: Any, shard: int, tracking_uri: str, model_name: str) -> int:
    """Score every n-th candidate of a plan of n shards, write the scores, and return how many candidates were tried.

    Args:
        training_data: Dataset artifact, the one that the plan was made from.
        plan: What `evergreen.training.search_plan.run_plan_step` wrote.
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
    prepared = rows_to_fit(job)
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
        plan: What `evergreen.training.search_plan.run_plan_step` wrote.
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
