"""Scores of predictions and their uncertainty, with scikit-learn's scorers and the bootstrap.

Every score follows scikit-learn's convention: higher is better. Models predict once, and metrics then use the predictions, so thousands of
resamples need no further model calls. Common metrics are computed on many resamples at once (`evergreen.metrics.sufficient_statistics`), all
other scorers one resample at a time. Intervals are percentile bootstrap intervals (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, chapter 13).
"""

from __future__ import annotations

import contextlib
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.custom_metric import CustomMetricError, custom_scorer
from evergreen.metrics.predictions import Interval, Predictions, ScoringError
from evergreen.metrics.resampling import resample
from evergreen.metrics.sufficient_statistics import Statistics, row_statistics, score_once
from evergreen.settings.function_path import is_function_path

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_METRIC = {"classification": "accuracy", "regression": "neg_mean_absolute_error"}
REGRESSION_PREFIXES = ("neg_mean_", "neg_median_", "neg_root_mean_", "neg_max_", "d2_absolute", "d2_pinball", "d2_tweedie", "r2", "explained_variance")
CELLS_IN_MEMORY = 4_000_000
CELLS_SCORED = 50_000_000
FEWEST_RESAMPLES = 200


@dataclass(frozen=True)
class Metric:
    """A scikit-learn scorer or a user-defined function that scores predictions.

    Attributes:
        name: Name of the scorer.
        task: ``classification`` or ``regression``.
        scorer: The scorer itself.
    """

    name: str
    task: str
    scorer: Any

    def score(
        self, labels: np.ndarray[Any, Any], predictions: np.ndarray[Any, Any], probabilities: np.ndarray[Any, Any] | None = None, classes: Sequence[Any] = ()
    ) -> float:
        """Return the score of predictions; higher is better.

        Raises:
            ScoringError: The metric is undefined on these rows, for instance a ROC curve with only one class.
        """
        return self.score_rows(Predictions(labels, predictions, probabilities, classes))

    def score_rows(self, predictions: Predictions) -> float:
        """Return the score of predictions; see `score`."""
        if len(predictions) == 0:
            raise ScoringError(f"metric {self.name!r}: there are no labelled rows to score. Use a longer window.")
        try:
            score = self._score_at(_precomputed(predictions, self.task), predictions, np.arange(len(predictions)))
        except CustomMetricError as error:
            raise ScoringError(str(error)) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ScoringError(
                f"metric {self.name!r}: not defined on these {len(predictions)} rows for {self.task}: {error}. Choose another metric or a longer window."
            ) from error
        if not math.isfinite(score):
            present = ", ".join(map(str, np.unique(predictions.labels)[:5])) if self.task == "classification" else "regression values"
            raise ScoringError(
                f"metric {self.name!r}: not defined on these {len(predictions)} rows, whose labels are: {present}. Choose another metric or a longer window."
            )
        return score

    def statistics(self, predictions: Predictions, score: float) -> Statistics | None:
        """Return the statistics from which resamples can be scored, or None if only the scorer itself can score them.

        Args:
            predictions: The model's predictions.
            score: The scorer's own score of all rows; a formula that does not reproduce it is not used.
        """
        found = row_statistics(self.name, predictions)
        return found if found is not None and math.isclose(score_once(found), score, rel_tol=1e-9, abs_tol=1e-12) else None

    def resampled(self, predictions: Predictions, draws: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Return the score on each draw of row numbers, shape (draws,); NaN where the metric is undefined."""
        answers = _precomputed(predictions, self.task)
        scores = np.full(len(draws), np.nan)
        for index, rows in enumerate(draws):
            # A draw with only one class is not a user error: it is omitted, and the caller counts such draws.
            with contextlib.suppress(ValueError, TypeError, AttributeError, CustomMetricError):
                scores[index] = self._score_at(answers, predictions, rows)
        return scores

    def _score_at(self, answers: Any, predictions: Predictions, rows: np.ndarray[Any, Any]) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(self.scorer(answers, rows.reshape(-1, 1), predictions.labels[rows]))


def resolve_metric(name: str, task: str) -> Metric:
    """Return the metric for a name and a task.

    Args:
        name: ``auto`` (accuracy or negative mean absolute error), the name of a scikit-learn scorer, or ``module:function`` (see
            `evergreen.metrics.custom_metric`).
        task: ``classification`` or ``regression``.

    Raises:
        ScoringError: The name or the task is unknown, the scorer is for the other task, or the function does not exist.
    """
    from sklearn.metrics import get_scorer, get_scorer_names

    if task not in DEFAULT_METRIC:
        raise ScoringError(f"task {task!r}: expected classification or regression.")
    resolved = DEFAULT_METRIC[task] if name.strip() == "auto" else name.strip()
    if is_function_path(resolved):
        try:
            return Metric(name=resolved, task=task, scorer=custom_scorer(resolved))
        except CustomMetricError as error:
            raise ScoringError(str(error)) from error
    if resolved not in get_scorer_names():
        raise ScoringError(f"metric {name!r}: unknown name. Valid metrics: auto, {', '.join(get_scorer_names())}; or your own as module:function.")
    if task == "classification" and resolved.startswith(REGRESSION_PREFIXES):
        raise ScoringError(f"metric {name!r}: is for regression, but the task is classification. Choose a metric such as accuracy, roc_auc or neg_log_loss.")
    return Metric(name=resolved, task=task, scorer=get_scorer(resolved))


def bootstrap_interval(metric: Metric, predictions: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 7) -> Interval:
    """Return a score and its percentile bootstrap interval.

    Rows are drawn with replacement. For a metric without sufficient statistics (see `evergreen.metrics.sufficient_statistics`), the number of
    resamples is reduced above 50 million scored cells, to no fewer than 200.

    Args:
        metric: The metric.
        predictions: The model's predictions.
        confidence: Share of intervals that should contain the true score, between 0 and 1.
        resamples: Number of resamples.
        seed: Seed of the draws; the same seed yields the same interval.

    Raises:
        ScoringError: The metric is undefined on the rows or on most resamples, or an argument is out of range.
    """
    return bootstrap_intervals([metric], predictions, confidence=confidence, resamples=resamples, seed=seed)[metric.name]


def bootstrap_intervals(
    metrics: Sequence[Metric], predictions: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 7
) -> dict[str, Interval]:
    """Return the scores and intervals of several metrics by metric name; see `bootstrap_interval`."""
    _check_arguments(confidence, resamples)
    scores = [metric.score_rows(predictions) for metric in metrics]
    drawn = _draw(metrics, [predictions], [scores], resamples, seed)[0]
    return {metric.name: _percentiles(score, values, confidence) for metric, score, values in zip(metrics, scores, drawn, strict=True)}


def paired_bootstrap(
    metric: Metric, challenger: Predictions, champion: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 7
) -> Interval:
    """Return the difference of two models' scores, challenger minus champion, with its percentile bootstrap interval.

    Both models are scored on the same resampled rows, so that difficulty common to both models cancels out.

    Args:
        metric: The metric.
        challenger: Predictions of one model.
        champion: Predictions of the other model for the same rows.
        confidence: Share of intervals that should contain the true difference.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Raises:
        ScoringError: As for `bootstrap_interval`, or the predictions are not for the same rows.
    """
    return paired_bootstraps([metric], challenger, champion, confidence=confidence, resamples=resamples, seed=seed)[metric.name]


def paired_bootstraps(
    metrics: Sequence[Metric], challenger: Predictions, champion: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 7
) -> dict[str, Interval]:
    """Return the differences of several metrics on the same draws, by metric name; see `paired_bootstrap`."""
    _check_arguments(confidence, resamples)
    if len(challenger) != len(champion) or not np.array_equal(challenger.labels, champion.labels):
        raise ScoringError(
            f"paired comparison: expected both models' predictions for the same rows, found {len(challenger)} and {len(champion)} rows or other labels."
        )
    ours, theirs = ([metric.score_rows(model) for metric in metrics] for model in (challenger, champion))
    drawn = _draw(metrics, [challenger, champion], [ours, theirs], resamples, seed)
    found = zip(metrics, ours, theirs, *drawn, strict=True)
    return {metric.name: _percentiles(our - their, our_draws - their_draws, confidence) for metric, our, their, our_draws, their_draws in found}


def _check_arguments(confidence: float, resamples: int) -> None:
    if not 0 < confidence < 1:
        raise ScoringError(f"confidence {confidence}: expected a share between 0 and 1, such as 0.95.")
    if resamples < FEWEST_RESAMPLES:
        raise ScoringError(f"resamples {resamples}: expected at least {FEWEST_RESAMPLES}; with fewer, the bounds are noise. Use 2000.")


def _draw(metrics: Sequence[Metric], models: Sequence[Predictions], scores: Sequence[Sequence[float]], resamples: int, seed: int) -> list[list[Any]]:
    """Return, for each model and metric, the scores on the same draws; draws on which a metric is undefined are omitted."""
    found = [[metric.statistics(model, score) for metric, score in zip(metrics, row, strict=True)] for model, row in zip(models, scores, strict=True)]
    short = [index for index in range(len(metrics)) if all(row[index] is not None for row in found)]
    needed = [[statistics for index in short if (statistics := row[index]) is not None] for row in found]
    quick = resample(needed, rows=len(models[0]), resamples=resamples, seed=seed) if short else []
    drawn: list[list[Any]] = [[None] * len(metrics) for _ in models]
    for index, metric in enumerate(metrics):
        both = np.array([row[short.index(index)] for row in quick]) if index in short else _one_by_one(metric, models, resamples, seed)
        defined = np.isfinite(both).all(axis=0)
        if defined.mean() < 0.5:
            rows = len(models[0])
            raise ScoringError(f"metric {metric.name!r}: not defined on most resamples of these {rows} rows. Choose another metric or a longer window.")
        for model in range(len(models)):
            drawn[model][index] = both[model][defined]
    return drawn


def _one_by_one(metric: Metric, models: Sequence[Predictions], resamples: int, seed: int) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    rows = len(models[0])
    count = max(FEWEST_RESAMPLES, min(resamples, CELLS_SCORED // rows))
    batch = max(1, CELLS_IN_MEMORY // rows)
    parts = []
    for start in range(0, count, batch):
        draws = [generator.integers(0, rows, size=rows) for _ in range(start, min(start + batch, count))]
        parts.append(np.array([metric.resampled(predictions, draws) for predictions in models]))
    return np.concatenate(parts, axis=1)


def _percentiles(score: float, drawn: np.ndarray[Any, Any], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(drawn, [tail, 1 - tail])
    return Interval(score=float(score), lower=float(lower), upper=float(upper))


def _precomputed(predictions: Predictions, task: str) -> Any:
    """Return an estimator that returns existing predictions; its input is row numbers, shape (rows, 1)."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Answers(ClassifierMixin if task == "classification" else RegressorMixin, BaseEstimator):  # type: ignore[misc]  # the base depends on the task
        classes_ = np.asarray(predictions.classes) if len(predictions.classes) else np.unique(predictions.labels)

        def predict(self, rows: np.ndarray[Any, Any]) -> Any:
            return predictions.predicted[rows[:, 0]]

        if predictions.probabilities is not None:

            def predict_proba(self, rows: np.ndarray[Any, Any]) -> Any:
                probabilities: Any = predictions.probabilities
                return probabilities[rows[:, 0]]

    return Answers()
