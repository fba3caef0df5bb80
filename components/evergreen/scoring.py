"""How good predictions are, and how sure that is: scikit-learn's scorers and the bootstrap.

Every score follows scikit-learn's convention: higher is better. Models predict once; metrics then work from the
predictions, so that thousands of resamples cost no further model calls. Intervals are percentile bootstrap intervals
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

from __future__ import annotations

import contextlib
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_METRIC = {"classification": "accuracy", "regression": "neg_mean_absolute_error"}
REGRESSION_PREFIXES = ("neg_mean_", "neg_median_", "neg_root_mean_", "neg_max_", "d2_absolute", "d2_pinball", "d2_tweedie", "r2", "explained_variance")
FEW_VALUES = 16
CELLS_IN_MEMORY = 4_000_000
CELLS_SCORED = 50_000_000
FEWEST_RESAMPLES = 200


class ScoringError(EvergreenError):
    """A metric's name is wrong, or the metric is not defined on the given rows."""


@dataclass(frozen=True)
class Interval:
    """A score with the bounds of its confidence interval."""

    score: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Predictions:
    """What a model said about labelled rows.

    Attributes:
        labels: The true labels, shape (rows,).
        predicted: The predicted labels, shape (rows,).
        probabilities: Shape (rows, classes); None when the model gives none.
        classes: The labels in the order of the probabilities; empty for regression.
    """

    labels: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any] | None = None
    classes: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Metric:
    """A scikit-learn scorer that works from predictions.

    Attributes:
        name: The scorer's name.
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
            ScoringError: The metric is not defined on these rows, for instance a ROC curve with one class only.
        """
        return self.score_rows(Predictions(labels, predictions, probabilities, classes))

    def score_rows(self, predictions: Predictions) -> float:
        """Return the score of predictions; see `score`."""
        if len(predictions) == 0:
            raise ScoringError(f"metric {self.name!r}: there are no labelled rows to score. Use a longer window.")
        row_scores = self.row_scores(predictions)
        if row_scores is not None:
            return float(row_scores.mean())
        try:
            score = self._score_at(_precomputed(predictions, self.task), predictions, np.arange(len(predictions)))
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

    def row_scores(self, predictions: Predictions) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """Return each row's own score where the metric is their mean, shape (rows,), or None where it is not."""
        measure = _ROW_SCORES.get(self.name)
        return None if measure is None else np.asarray(measure(predictions), dtype=np.float64)

    def resampled(self, predictions: Predictions, draws: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Return the score on each draw of row numbers, shape (draws,); NaN where the metric is not defined on it."""
        answers = _precomputed(predictions, self.task)
        scores = np.full(len(draws), np.nan)
        for index, rows in enumerate(draws):
            # A draw with one class only is no error of the user's: it is left out, and counted by the caller.
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                scores[index] = self._score_at(answers, predictions, rows)
        return scores

    def _score_at(self, answers: Any, predictions: Predictions, rows: np.ndarray[Any, Any]) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(self.scorer(answers, rows.reshape(-1, 1), predictions.labels[rows]))


def resolve_metric(name: str, task: str) -> Metric:
    """Return the metric that a name means for a task.

    Args:
        name: ``auto`` (accuracy, or the negative mean absolute error) or any scikit-learn scorer's name.
        task: ``classification`` or ``regression``.

    Raises:
        ScoringError: The name or the task is unknown, or the scorer is for the other task.
    """
    from sklearn.metrics import get_scorer, get_scorer_names

    if task not in DEFAULT_METRIC:
        raise ScoringError(f"task {task!r}: expected classification or regression.")
    resolved = DEFAULT_METRIC[task] if name.strip() == "auto" else name.strip()
    if resolved not in get_scorer_names():
        raise ScoringError(f"metric {name!r}: expected auto or the name of a scikit-learn scorer: {', '.join(get_scorer_names())}.")
    if task == "classification" and resolved.startswith(REGRESSION_PREFIXES):
        raise ScoringError(f"metric {name!r}: is for regression and the task is classification. Choose one such as accuracy, roc_auc or neg_log_loss.")
    return Metric(name=resolved, task=task, scorer=get_scorer(resolved))


def bootstrap_interval(metric: Metric, predictions: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 7) -> Interval:
    """Return a score and its percentile bootstrap interval.

    Rows are drawn with replacement; above 50 million scored cells the number of resamples is lowered, to no fewer than 200.

    Args:
        metric: What to measure.
        predictions: What the model said.
        confidence: Share of intervals that should hold the true score, between 0 and 1.
        resamples: Number of resamples.
        seed: Seed of the draws; the same seed gives the same interval.

    Raises:
        ScoringError: The metric is not defined on the rows or on most resamples, or an argument is out of its range.
    """
    _check_arguments(confidence, resamples)
    score = metric.score_rows(predictions)
    row_scores = metric.row_scores(predictions)
    if row_scores is not None:
        return _percentiles(score, _resampled_means(row_scores, resamples, seed), confidence)
    return _percentiles(score, _resampled_scores(metric, [predictions], resamples, seed)[0], confidence)


def paired_bootstrap(
    metric: Metric, challenger: Predictions, champion: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 7
) -> Interval:
    """Return the difference of two models' scores, challenger minus champion, with its percentile bootstrap interval.

    Both models are scored on the same resampled rows, so that what makes a row hard for both cancels out.

    Args:
        metric: What to measure.
        challenger: What one model said.
        champion: What the other said about the same rows.
        confidence: Share of intervals that should hold the true difference.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Raises:
        ScoringError: As for `bootstrap_interval`, or the two are not about the same rows.
    """
    _check_arguments(confidence, resamples)
    if len(challenger) != len(champion) or not np.array_equal(challenger.labels, champion.labels):
        raise ScoringError(
            f"paired comparison: expected both models' predictions for the same rows, found {len(challenger)} and {len(champion)} rows or other labels."
        )
    difference = metric.score_rows(challenger) - metric.score_rows(champion)
    ours, theirs = metric.row_scores(challenger), metric.row_scores(champion)
    if ours is not None and theirs is not None:
        return _percentiles(difference, _resampled_means(ours - theirs, resamples, seed), confidence)
    drawn = _resampled_scores(metric, [challenger, champion], resamples, seed)
    return _percentiles(difference, drawn[0] - drawn[1], confidence)


def _check_arguments(confidence: float, resamples: int) -> None:
    if not 0 < confidence < 1:
        raise ScoringError(f"confidence {confidence}: expected a share between 0 and 1, such as 0.95.")
    if resamples < FEWEST_RESAMPLES:
        raise ScoringError(f"resamples {resamples}: expected at least {FEWEST_RESAMPLES}, or the bounds are noise. Use 2000.")


def _resampled_means(values: np.ndarray[Any, Any], resamples: int, seed: int) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    distinct, counts = np.unique(values, return_counts=True)
    rows = len(values)
    if len(distinct) <= FEW_VALUES:
        # Drawing rows and counting values is a multinomial draw: the same distribution, without touching the rows.
        drawn = generator.multinomial(rows, counts / rows, size=resamples)
        return np.asarray(drawn @ distinct / rows)
    means = np.empty(resamples)
    batch = max(1, CELLS_IN_MEMORY // rows)
    for start in range(0, resamples, batch):
        stop = min(start + batch, resamples)
        means[start:stop] = values[generator.integers(0, rows, size=(stop - start, rows))].mean(axis=1)
    return means


def _resampled_scores(metric: Metric, models: Sequence[Predictions], resamples: int, seed: int) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    rows = len(models[0])
    count = max(FEWEST_RESAMPLES, min(resamples, CELLS_SCORED // rows))
    batch = max(1, CELLS_IN_MEMORY // rows)
    parts = []
    for start in range(0, count, batch):
        draws = [generator.integers(0, rows, size=rows) for _ in range(start, min(start + batch, count))]
        parts.append(np.array([metric.resampled(predictions, draws) for predictions in models]))
    scores: np.ndarray[Any, Any] = np.concatenate(parts, axis=1)
    defined = np.isfinite(scores).all(axis=0)
    if defined.mean() < 0.5:
        raise ScoringError(f"metric {metric.name!r}: not defined on most resamples of these {rows} rows. Choose another metric or a longer window.")
    return np.asarray(scores[:, defined])


def _percentiles(score: float, drawn: np.ndarray[Any, Any], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(drawn, [tail, 1 - tail])
    return Interval(score=float(score), lower=float(lower), upper=float(upper))


_ROW_SCORES: dict[str, Callable[[Predictions], Any]] = {
    "accuracy": lambda rows: rows.predicted == rows.labels,
    "neg_mean_absolute_error": lambda rows: -np.abs(rows.predicted - rows.labels),
    "neg_mean_squared_error": lambda rows: -((rows.predicted - rows.labels) ** 2),
}


def _precomputed(predictions: Predictions, task: str) -> Any:
    """Return an estimator that answers with predictions made before; its input is row numbers, shape (rows, 1)."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Answers(ClassifierMixin if task == "classification" else RegressorMixin, BaseEstimator):  # type: ignore[misc]  # the base depends on the task
        classes_ = np.asarray(predictions.classes)

        def predict(self, rows: np.ndarray[Any, Any]) -> Any:
            return predictions.predicted[rows[:, 0]]

        if predictions.probabilities is not None:

            def predict_proba(self, rows: np.ndarray[Any, Any]) -> Any:
                probabilities: Any = predictions.probabilities
                return probabilities[rows[:, 0]]

    return Answers()
