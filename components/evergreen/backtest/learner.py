"""Trains and judges models in a backtest with the same functions as train_model, evaluate_model and refit_model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evergreen.backtest.fits import Shared, rows_name
from evergreen.data.times import iso_time
from evergreen.evaluation.comparison import compare_models
from evergreen.evaluation.gate import Gate
from evergreen.evaluation.holdout_rows import comparison_rows, predictions_of
from evergreen.metrics.predictions import ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.policy.history import days_between
from evergreen.policy.policy_file import Policy
from evergreen.results.baseline import Baseline
from evergreen.training.holdout import holdout_start
from evergreen.training.memory import sample_positions
from evergreen.training.recipe import Recipe, estimator_path
from evergreen.training.training_rows import label_classes, training_rows

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.backtest.fits import SharedModel
    from evergreen.backtest.timeline import Knowledge
    from evergreen.data.artifacts import ModelDescription
    from evergreen.results.decision import Decision
    from evergreen.results.evaluation import Evaluation
    from evergreen.training.training_rows import TrainingRows


@dataclass(frozen=True)
class LearnerSettings:
    """How models are trained and judged; names and defaults are those of the pipeline's parameters.

    Attributes:
        training_window_days: Length of the training window in days.
        estimator: Import path of the estimator.
        hyperparameters: Its hyperparameters.
        task: ``auto``, ``classification`` or ``regression``.
        metric: Name of a scikit-learn scorer, or ``auto``.
        margin: Value that the gate's difference must exceed, in units of the metric.
        holdout_share: Share of newest rows on which challenger and champion are compared.
        seed: Random seed.
    """

    training_window_days: int = 1825
    estimator: str = "auto"
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    task: str = "auto"
    metric: str = "auto"
    margin: float = 0.0
    holdout_share: float = 0.2
    seed: int = 7


@dataclass(frozen=True)
class Champion:
    """The model in use, its baseline for monitoring, and the rows it was fitted on.

    Attributes:
        version: Its number, starting at 1.
        model: The model.
        baseline: Its score at promotion, in the form read by `monitor_performance`.
        reference: The rows it was fitted on.
    """

    version: int
    model: SharedModel
    baseline: Baseline
    reference: pd.DataFrame


class Learner:
    """Trains and judges challengers."""

    def __init__(
        self, settings: LearnerSettings, *, target_column: str, timestamp_column: str, policy: Policy | None = None, shared: Shared | None = None
    ) -> None:
        """Create a learner without fitting anything.

        Args:
            settings: Settings shared by all policies.
            target_column: Name of the label column.
            timestamp_column: Name of the event time column.
            policy: The policy, whose ``training`` and ``gate`` sections are used; None for the default policy.
            shared: What is shared with other policies replayed on the same timeline; None to share nothing.
        """
        self.settings, self._columns = settings, {"target_column": target_column, "timestamp_column": timestamp_column}
        self._policy, self._shared = policy or Policy(), shared or Shared()

    def first(self, knowledge: Knowledge, days: float) -> Champion:
        """Return the first model, fitted on the newest days regardless of the gate, because there is no other model to use.

        Raises:
            TrainingError: The rows do not allow training.
        """
        rows, recipe, classes = self._prepare(knowledge, days)
        challenger = self._challenger(rows, recipe, classes)
        return self._refitted(rows, recipe, classes, version=1, evaluation=self._judged(challenger, None, rows))

    def challenge(self, knowledge: Knowledge, champion: Champion, decision: Decision) -> Champion | None:
        """Train a challenger and return it, refitted on all rows, if it passes the gate against the champion; otherwise None.

        Args:
            knowledge: The known rows.
            champion: The model in use.
            decision: The decision to train it, including how far back it may learn and whether the champion is stale.

        Raises:
            TrainingError: The rows do not allow training.
        """
        rows, recipe, classes = self._prepare(knowledge, self._days(knowledge, decision))
        evaluation = self._judged(self._challenger(rows, recipe, classes), champion, rows, stale=decision.champion_stale)
        if evaluation.verdict != "promote":
            return None
        return self._refitted(rows, recipe, classes, version=champion.version + 1, evaluation=evaluation)

    def renew(self, knowledge: Knowledge, *, version: int, days: float | None = None) -> Champion:
        """Return a model fitted on the training window, without a gate.

        Args:
            knowledge: The known rows.
            version: Its number.
            days: Length of the training window; None for that of the settings.

        Raises:
            TrainingError: The rows do not allow training.
        """
        rows, recipe, classes = self._prepare(knowledge, self.settings.training_window_days if days is None else days)
        return self._refitted(rows, recipe, classes, version=version, evaluation=None)

    def score(self, champion: Champion, rows: pd.DataFrame) -> float | None:
        """Return the champion's score on labelled rows, or None if the metric is undefined."""
        if rows.empty:
            return None
        try:
            predictions = predictions_of(champion.model, rows, target_column=self._columns["target_column"])
            return float(resolve_metric(self.settings.metric, champion.model.description.task).score_rows(predictions))
        except ScoringError:
            return None

    def _days(self, knowledge: Knowledge, decision: Decision) -> float:
        least = self.settings.training_window_days
        return max(least, days_between(decision.training_since, iso_time(knowledge.settled))) if decision.training_since else least

    def _prepare(self, knowledge: Knowledge, days: float) -> tuple[TrainingRows, Recipe, list[Any]]:
        window, most = knowledge.newest(days), self._policy.training.sample_rows
        if most is not None and most < len(window):
            window = window.iloc[sample_positions(len(window), most, self.settings.seed)]
        metadata = {"fingerprint": rows_name(window), "window_end": iso_time(knowledge.settled)}
        rows = training_rows(window.reset_index(drop=True), metadata, **self._columns)
        task, classes = label_classes(rows.frame[rows.target_column], self.settings.task)
        path, options = estimator_path(self.settings.estimator, task), self._policy.training.given()
        return rows, Recipe(task, path, self.settings.hyperparameters, self.settings.seed, options=options), classes

    def _challenger(self, rows: TrainingRows, recipe: Recipe, classes: list[Any]) -> SharedModel:
        start = holdout_start(rows.times, self.settings.holdout_share)
        return self._shared.fit_before(start, rows, recipe, classes=classes, identifier=f"challenger of {iso_time(rows.window_end)}")

    def _judged(self, challenger: SharedModel, champion: Champion | None, rows: TrainingRows, *, stale: bool = False) -> Evaluation:
        models = [challenger] if champion is None else [challenger, champion.model]
        held = comparison_rows(rows.frame[rows.times >= holdout_start(rows.times, self.settings.holdout_share)], models)
        gate = Gate(margin=self.settings.margin, seed=self.settings.seed, settings=self._policy.gate, champion_stale=stale)
        version, rows_key = ("none" if champion is None else str(champion.version)), (rows.fingerprint, len(held.frame), held.start)
        theirs = None if champion is None else champion.model
        key = ("judged", challenger.token, theirs.token if theirs is not None else "", rows_key, repr(gate), version)
        return self._shared.once(key, lambda: compare_models(challenger, theirs, held, metric=self.settings.metric, gate=gate, champion_version=version)[0])

    def _refitted(self, rows: TrainingRows, recipe: Recipe, classes: list[Any], *, version: int, evaluation: Evaluation | None) -> Champion:
        from evergreen.training.training_rows import feature_kinds

        features = feature_kinds(rows.frame, rows.feature_names)
        model = self._shared.fit_all(rows, recipe, features=features, classes=classes, identifier=f"version {version}")
        return Champion(version, model, _baseline(model.description, evaluation, version), rows.frame)


def _baseline(description: ModelDescription, evaluation: Evaluation | None, version: int) -> Baseline:
    known = Baseline(version=str(version), fit_start=description.fit_start, fit_end=description.fit_end)
    if evaluation is None:
        # Without a score of its own, only drift and age can be monitored.
        return known
    lower, upper = evaluation.challenger_lower, evaluation.challenger_upper
    return replace(known, metric=evaluation.metric, score=evaluation.challenger_score, lower=lower, upper=upper)
