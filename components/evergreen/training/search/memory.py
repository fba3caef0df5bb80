"""Scores of a search stored in MLflow, so that a killed search resumes where it stopped."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain
from evergreen.storage.tracking import unusable_server

if TYPE_CHECKING:
    from evergreen.storage.experiments import Tracking
    from evergreen.training.search.candidates import Trial

SEARCH_TAG = "evergreen.search_id"
PREFIX = "search."


class SearchMemory:
    """Scores of the trials of one search, in a separate MLflow run or in the one that KFP created for the step."""

    def __init__(self, tracking: Tracking, challenger_id: str) -> None:
        """Load the scores of an earlier attempt, or start a new run.

        Args:
            tracking: The connection.
            challenger_id: ID of the challenger of the search; the same for the same data, recipe and seed.

        Raises:
            StateError: The server rejected a request or became unreachable.
        """
        from mlflow.exceptions import MlflowException

        self._tracking = tracking
        try:
            self._run_id = tracking.given_run_id or self._begun(challenger_id)
            metrics = tracking.client.get_run(self._run_id).data.metrics
        except MlflowException as error:
            raise unusable_server(tracking.uri, error) from error
        self._scores = {name.removeprefix(PREFIX): value for name, value in metrics.items() if name.startswith(PREFIX)}

    def score_of(self, trial: Trial) -> float | None:
        """Return a trial's score, or None if it has none yet."""
        return self._scores.get(_key(trial))

    def keep(self, trial: Trial, score: float, *, best: float, number: int) -> None:
        """Store a trial's score; a trial that could not be fitted has none and is tried again.

        Raises:
            StateError: The server rejected a request or became unreachable.
        """
        from mlflow.exceptions import MlflowException

        if not math.isfinite(score):
            return
        try:
            self._tracking.client.log_metric(self._run_id, f"{PREFIX}{_key(trial)}", score)
            self._tracking.client.log_metric(self._run_id, "best_score", best, step=number)
        except MlflowException as error:
            raise unusable_server(self._tracking.uri, error) from error

    def finish(self) -> None:
        """End the run of the search.

        Raises:
            StateError: The server rejected a request or became unreachable.
        """
        from mlflow.exceptions import MlflowException

        if self._run_id == self._tracking.given_run_id:
            return
        try:
            self._tracking.client.set_terminated(self._run_id, "FINISHED")
        except MlflowException as error:
            raise unusable_server(self._tracking.uri, error) from error

    def _begun(self, challenger_id: str) -> str:
        client, experiment = self._tracking.client, self._tracking.experiment_id
        found = client.search_runs([experiment], filter_string=f"tags.`{SEARCH_TAG}` = '{challenger_id}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        return str(client.create_run(experiment, run_name=f"search-{challenger_id[:8]}", tags={SEARCH_TAG: challenger_id}).info.run_id)


def _key(trial: Trial) -> str:
    content: dict[str, Any] = {"hyperparameters": plain(trial.hyperparameters), "share": trial.share}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
