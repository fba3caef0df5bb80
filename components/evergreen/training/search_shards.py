"""A hyperparameter search whose candidates are scored in parallel steps, with the same result as a search in one step."""

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
    """Score every n-th candidate of a plan with n shards, write the scores, and return the number of candidates tried.

    Args:
        training_data: Dataset artifact that the plan was made from.
        plan: The plan written by `evergreen.training.search_plan.run_plan_step`.
        candidate_scores: Output artifact for the scores.
        shard: Number of the shard.
        tracking_uri: MLflow server that stores the scores for another attempt; ``none`` stores nothing.
        model_name: Name of the registered model, for the experiment.

    Raises:
        TrainingError: The shard does not exist, or the plan was made from different data.
        StateError: The MLflow server rejected a request or became unreachable.
    """
    planned = read_plan(plan.path)
    if not 0 <= shard < planned.shards:
        raise TrainingError(f"Invalid shard {shard}: expected 0 to {planned.shards - 1}, because the plan has {planned.shards} shards.")
    job = job_of(planned.recipe, training_data=training_data, target_column=planned.target_column, timestamp_column=planned.timestamp_column)
    if job.challenger_id != planned.challenger_id:
        raise TrainingError(
            f"The plan was not made from the training data {training_data.uri}, or comes from a different version of Evergreen. "
            "Use the same data and image for plan_search and score_candidates."
        )
    memory = None
    if not is_nothing(tracking_uri):
        # Use one run per shard: steps that start at the same time must not create the same run twice.
        memory = SearchMemory(connect(tracking_uri, model_name), f"{job.challenger_id}-{shard}-of-{planned.shards}")
    numbers = range(shard, len(planned.candidates), planned.shards)
    prepared = rows_to_fit(job)
    with fitting_threads(*prepared.rows.features.shape):
        pipeline = prepared.pipeline_with(build_estimator(job.recipe))
        trials = [Trial(planned.candidates[number]) for number in numbers]
        scored = score_trials(trials, pipeline, job.recipe, prepared.rows, memory=memory)
    # Fewer than planned are scored if the time limit is reached.
    tried = [{"number": number, "score": each.score, "error": each.error} for number, each in zip(numbers, scored, strict=False)]
    write_json(candidate_scores.path, {"challenger_id": planned.challenger_id, "shard": shard, "trials": tried})
    candidate_scores.metadata.update({PRESENT: True, "tried": len(tried)})
    return len(tried)


def run_choose_step(*, plan: Any, candidate_scores: list[Any], trials: Any) -> dict[str, Any]:
    """Choose the candidate with the best score (the first one on a tie), and write all trials.

    Args:
        plan: The plan written by `evergreen.training.search_plan.run_plan_step`.
        candidate_scores: The scores written by `run_score_step`, one artifact per shard.
        trials: Output artifact for the trials.

    Returns:
        The written content: the chosen hyperparameters, including fixed ones, their score, and every trial.

    Raises:
        TrainingError: The scores of a shard are missing or belong to another plan, or no candidate could be fitted.
    """
    planned = read_plan(plan.path)
    found = _all_scores(planned, [read_json(scores.path) for scores in candidate_scores])
    listed = [_listed(planned, number, found.get(number)) for number in range(len(planned.candidates))]
    complete = [trial for trial in listed if trial["state"] == "complete"]
    if not complete:
        trouble = next((trial["error"] for trial in reversed(listed) if trial["error"]), "none could be scored")
        raise nothing_fitted(SearchSettings(**planned.recipe.search), planned.rows, trouble)
    # On a tie, max returns the first, as in a search in one step.
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
            raise TrainingError("The candidate scores belong to another plan. Pass the plan of score_candidates to choose_candidate.")
    given = sorted(part["shard"] for part in parts)
    if given != list(range(planned.shards)):
        raise TrainingError(f"candidate scores: found shards {given}; expected each of 0 to {planned.shards - 1} once. Score every shard of the plan.")
    return {trial["number"]: trial for part in parts for trial in part["trials"]}


def _listed(planned: SearchPlan, number: int, found: dict[str, Any] | None) -> dict[str, Any]:
    listed = {"number": number, "shard": number % planned.shards, "hyperparameters": planned.candidates[number]}
    if found is None:
        return {**listed, "state": "not tried", "score": None, "error": ""}
    failed = found["score"] is None or not math.isfinite(found["score"])
    return {**listed, "state": "failed" if failed else "complete", "score": found["score"], "error": found["error"]}
