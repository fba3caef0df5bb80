"""Trains and judges models in a backtest with the same functions as train_model, evaluate_model and refit_model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evergreen.backtest.fits import Shared, SharedModel, content_of, rows_name
from evergreen.data.times import iso_time
from evergreen.evaluation.comparison import compare_models
from evergreen.evaluation.gate import Gate
from evergreen.evaluation.holdout_rows import comparison_rows, predictions_of
from evergreen.metrics.predictions import ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.policy.history import days_between
from evergreen.policy.policy_file import Policy
from evergreen.results.baseline import Baseline
from evergreen.training.choice.candidates import FormerChampion
from evergreen.training.choice.choosing import ChoiceRequest, choose
from evergreen.training.choice.former import distinct_models
from evergreen.training.errors import TrainingError
from evergreen.training.holdout import holdout_start
from evergreen.training.memory import sample_positions
from evergreen.training.plan import TrainingPlan, planned
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
        self._former: list[Champion] = []

    def first(self, knowledge: Knowledge, days: float) -> Champion:
        """Return the first model, fitted on the newest days regardless of the gate, because there is no other model to use.

        Raises:
            TrainingError: The rows do not allow training.
        """
        rows, recipe, classes = self._prepare(knowledge, days)
        plan = self._ordinary(rows, recipe)
        evaluation = self._judged(self._shared.challenger(plan, rows, classes=classes), None, plan, rows)
        return self._refitted(rows, recipe, classes, version=1, evaluation=evaluation)

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
        plan = self._plan(rows, recipe, classes, champion, decision)
        challenger = self._shared.challenger(plan, rows, classes=classes)
        evaluation = self._judged(challenger, champion, plan, rows, stale=decision.champion_stale)
        if evaluation.verdict != "promote":
            return None
        version = champion.version + 1
        if plan.former is not None:
            promoted = self._again(plan.former, version, evaluation)
        else:
            since = challenger.description.fit_start
            promoted = self._refitted(rows, plan.recipe, classes, version=version, evaluation=evaluation, since=since)
        self._former.insert(0, champion)
        return promoted

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

    def _ordinary(self, rows: TrainingRows, recipe: Recipe) -> TrainingPlan:
        before = int(rows.times.searchsorted(holdout_start(rows.times, self.settings.holdout_share)))
        return TrainingPlan(recipe, f"challenger of {iso_time(rows.window_end)}", 0, before)

    def _plan(self, rows: TrainingRows, recipe: Recipe, classes: list[Any], champion: Champion, decision: Decision) -> TrainingPlan:
        ordinary = self._ordinary(rows, recipe)
        if not decision.choose_rows or champion.model.description.task != recipe.task:
            return ordinary
        former = distinct_models([FormerChampion(str(one.version), one.model) for one in self._former], champion.model.description)
        metric = resolve_metric(self.settings.metric, recipe.task)
        asked = ChoiceRequest(rows, recipe, classes, metric, champion.model, former, decision.changed_at, self._policy.gate.allow_baseline)
        asked = replace(asked, holdout_share=self.settings.holdout_share)
        try:
            choice = choose(asked)
        except TrainingError:
            # As in a run, the ordinary training says why nothing can be fitted, if so.
            return ordinary
        return ordinary if choice is None else planned(choice, recipe, identifier=ordinary.identifier)

    def _judged(self, challenger: SharedModel, champion: Champion | None, plan: TrainingPlan, rows: TrainingRows, *, stale: bool = False) -> Evaluation:
        models = [challenger] if champion is None else [challenger, champion.model]
        held = comparison_rows(plan.held_out(rows), models)
        gate = Gate(margin=self.settings.margin, seed=self.settings.seed, settings=self._policy.gate, champion_stale=stale)
        version, theirs = ("none", None) if champion is None else (str(champion.version), champion.model)
        made_in_advance = None if plan.forward is None else content_of(held.frame.iloc[: held.forward].filter(regex="^evergreen"))
        compared_rows = (rows.fingerprint, len(held.frame), held.start, made_in_advance)
        key = ("judged", challenger.token, theirs.token if theirs is not None else "", compared_rows, repr(gate), version)
        return self._shared.once(key, lambda: compare_models(challenger, theirs, held, metric=self.settings.metric, gate=gate, champion_version=version)[0])

    def _refitted(self, rows: TrainingRows, recipe: Recipe, classes: list[Any], *, version: int, evaluation: Evaluation | None, since: str = "") -> Champion:
        from evergreen.training.training_rows import feature_kinds

        features = feature_kinds(rows.frame, rows.feature_names)
        model = self._shared.fit_all(rows, recipe, features=features, classes=classes, identifier=f"version {version}", since=since)
        reference = rows.frame.iloc[len(rows.frame) - model.description.rows :]
        return Champion(version, model, _baseline(model.description, evaluation, version), reference)

    def _again(self, former: FormerChampion, version: int, evaluation: Evaluation) -> Champion:
        was = next(one for one in self._former if str(one.version) == former.version)
        return Champion(version, was.model, _baseline(was.model.description, evaluation, version), was.reference)


def _baseline(description: ModelDescription, evaluation: Evaluation | None, version: int) -> Baseline:
    known = Baseline(version=str(version), fit_start=description.fit_start, fit_end=description.fit_end)
    if evaluation is None:
        # Without a score of its own, only drift and age can be monitored.
        return known
    lower, upper = evaluation.challenger_lower, evaluation.challenger_upper
    return replace(known, metric=evaluation.metric, score=evaluation.challenger_score, lower=lower, upper=upper)
