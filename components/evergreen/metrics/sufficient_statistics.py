"""Metrics as functions of counts or means over rows, so that thousands of resamples need no further scorer calls.

Accuracy, F1 and similar metrics depend only on the confusion matrix; log loss, Brier score and regression errors on means over rows;
the area under the ROC curve on ranks. scikit-learn's own scorers remain the reference: `evergreen.metrics.scoring` uses a formula
from this module only if it reproduces scikit-learn's score on all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions

Array = np.ndarray[Any, Any]

MOST_CELLS = 4096


@dataclass(frozen=True)
class CellStatistics:
    """A metric that depends on the confusion matrix.

    Attributes:
        codes: Cell of each row, ``true class * classes + predicted class``, shape (rows,).
        classes: Number of classes.
        finish: Converts confusion matrices, shape (resamples, classes, classes), into scores, shape (resamples,).
    """

    codes: Array
    classes: int
    finish: Callable[[Array], Array]


@dataclass(frozen=True)
class MeanStatistics:
    """A metric that depends on means over rows.

    Attributes:
        columns: Values to average, shape (rows, columns).
        finish: Converts means, shape (resamples, columns), into scores, shape (resamples,).
    """

    columns: Array
    finish: Callable[[Array], Array]


@dataclass(frozen=True)
class RankStatistics:
    """The area under the ROC curve for two classes.

    Attributes:
        order: Row numbers by ascending score, shape (rows,).
        positive: For each position in that order, 1 if the row is of the positive class and 0 otherwise, shape (rows,).
        ends: The last position of each run of equal scores; None if no two scores are equal.
    """

    order: Array
    positive: Array
    ends: Array | None


Statistics = CellStatistics | MeanStatistics | RankStatistics


def row_statistics(name: str, predictions: Predictions) -> Statistics | None:
    """Return the sufficient statistics of a metric, or None if it has none here.

    Args:
        name: Name of a scikit-learn scorer.
        predictions: The model's predictions.
    """
    if name in _CELLS:
        return _cells(predictions, _CELLS[name])
    if name in _ERRORS and not len(predictions.classes):
        make, finish = _ERRORS[name]
        return MeanStatistics(make(predictions), finish)
    if predictions.probabilities is None or not len(predictions.classes):
        return None
    if name in _PROBABILITIES:
        return _probability_means(name, predictions)
    return _ranks(predictions) if name == "roc_auc" and len(predictions.classes) == 2 else None


def score_once(statistics: Statistics) -> float:
    """Return the score on the original rows, each counted once."""
    if isinstance(statistics, CellStatistics):
        counts = np.bincount(statistics.codes, minlength=statistics.classes**2).reshape(1, statistics.classes, statistics.classes)
        return float(statistics.finish(counts.astype(np.float64))[0])
    if isinstance(statistics, MeanStatistics):
        return float(statistics.finish(statistics.columns.mean(axis=0, keepdims=True))[0])
    return float(auc_of_counts(statistics, np.ones((1, len(statistics.positive)), dtype=np.int64))[0])


def auc_of_counts(ranks: RankStatistics, counts: Array) -> Array:
    """Return the area under the ROC curve with each row weighted by how often it was drawn; a tie counts half.

    Computed from the sum of the positives' ranks among all rows (Mann and Whitney, Annals of Mathematical Statistics 18, 1947), which needs one
    running sum of the counts. All arithmetic uses integers, so the result is exact up to the final division.

    Args:
        ranks: The order of the rows.
        counts: How often each row was drawn, as integers, shape (resamples, rows).

    Returns:
        Shape (resamples,); NaN where a class was not drawn.
    """
    areas = np.empty(len(counts))
    # Allocating memory for every draw would cost as much as the arithmetic, especially in threads.
    sizes_room, positives_room, sums_room = (np.empty(len(ranks.order), dtype=counts.dtype) for _ in range(3))
    # One draw at a time: its data stays in the CPU cache, which is several times faster than all draws at once.
    for index, drawn in enumerate(counts):
        # Clipping has no effect here, and lets NumPy write without a copy.
        sizes = drawn.take(ranks.order, out=sizes_room, mode="clip")
        positives = np.multiply(sizes, ranks.positive, out=positives_room)
        up_to = sizes.cumsum(out=sums_room)
        if ranks.ends is not None:
            up_to = up_to.take(ranks.ends)
            sizes, positives = (np.diff(sums, prepend=0) for sums in (up_to, positives.cumsum().take(ranks.ends)))
        ones = int(positives.sum())
        others = int(up_to[-1]) - ones
        # Twice the number of pairs that a positive wins, with a tie counting half; pairs of two positives are subtracted.
        wins_twice = 2 * int(positives @ up_to) - int(positives @ sizes) - ones**2
        areas[index] = wins_twice / (2 * ones * others) if ones and others else np.nan
    return areas


def _cells(predictions: Predictions, finish: Callable[[Array], Array]) -> CellStatistics | None:
    known = np.unique(np.concatenate([np.asarray(predictions.labels), np.asarray(predictions.predicted)]))
    if len(known) ** 2 > MOST_CELLS:
        return None
    # The positive class of a binary metric is the label 1, which must come last.
    codes = np.searchsorted(known, predictions.labels) * len(known) + np.searchsorted(known, predictions.predicted)
    return CellStatistics(codes, len(known), finish)


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _accuracy(matrix: Array) -> Array:
    right: Array = np.trace(matrix, axis1=1, axis2=2) / matrix.sum(axis=(1, 2))
    return right


def _balanced_accuracy(matrix: Array) -> Array:
    truth = matrix.sum(axis=2)
    recall = _ratio(np.diagonal(matrix, axis1=1, axis2=2).copy(), truth)
    mean: Array = recall.sum(axis=1) / (truth > 0).sum(axis=1)
    return mean


def _per_class(kind: str, matrix: Array) -> Array:
    hit, truth, said = np.diagonal(matrix, axis1=1, axis2=2).copy(), matrix.sum(axis=2), matrix.sum(axis=1)
    return _ratio(hit, truth) if kind == "recall" else _ratio(hit, said) if kind == "precision" else _ratio(2 * hit, truth + said)


def _averaged(kind: str, average: str) -> Callable[[Array], Array]:
    def finish(matrix: Array) -> Array:
        if average == "micro":
            return _accuracy(matrix)
        each, truth, said = _per_class(kind, matrix), matrix.sum(axis=2), matrix.sum(axis=1)
        if average == "binary":
            last: Array = each[:, -1]
            return last
        weight = truth if average == "weighted" else ((truth + said) > 0).astype(np.float64)
        mean: Array = (each * weight).sum(axis=1) / weight.sum(axis=1)
        return mean

    return finish


_CELLS: dict[str, Callable[[Array], Array]] = {"accuracy": _accuracy, "balanced_accuracy": _balanced_accuracy}
for _kind in ("f1", "precision", "recall"):
    _CELLS[_kind] = _averaged(_kind, "binary")
    _CELLS.update({f"{_kind}_{average}": _averaged(_kind, average) for average in ("macro", "micro", "weighted")})


def _probability_means(name: str, predictions: Predictions) -> MeanStatistics | None:
    classes = np.asarray(predictions.classes, dtype=predictions.labels.dtype)
    truth = predictions.labels[:, None] == classes[None, :]
    if not truth.any(axis=1).all():
        return None
    probabilities: Array = np.asarray(predictions.probabilities, dtype=np.float64)
    if name == "neg_log_loss":
        smallest = np.finfo(np.float64).eps
        return MeanStatistics(np.log(np.clip(probabilities[truth], smallest, 1 - smallest))[:, None], _first)
    squares = ((probabilities - truth) ** 2).sum(axis=1, keepdims=True)
    return MeanStatistics(-squares / (2 if len(classes) == 2 else 1), _first)


_PROBABILITIES = ("neg_log_loss", "neg_brier_score")


def _ranks(predictions: Predictions) -> RankStatistics | None:
    probabilities: Any = predictions.probabilities
    scores, truth = probabilities[:, -1], predictions.labels == predictions.classes[-1]
    if truth.all() or not truth.any():
        return None
    order = np.argsort(scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    return RankStatistics(order, truth[order].astype(np.int64), None if len(ends) == len(order) else ends)


def _first(means: Array) -> Array:
    first: Array = means[:, 0]
    return first


def _error(predictions: Predictions) -> Array:
    return np.asarray(predictions.predicted, dtype=np.float64) - np.asarray(predictions.labels, dtype=np.float64)


def _r2_columns(predictions: Predictions) -> Array:
    # Center first, so that the variance of large numbers is not lost to rounding.
    labels = np.asarray(predictions.labels, dtype=np.float64)
    centred = labels - labels.mean()
    return np.column_stack([_error(predictions) ** 2, centred, centred**2])


def _r2(means: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Array = 1 - means[:, 0] / (means[:, 2] - means[:, 1] ** 2)
    return share


_ERRORS: dict[str, tuple[Callable[[Predictions], Array], Callable[[Array], Array]]] = {
    "neg_mean_absolute_error": (lambda rows: -np.abs(_error(rows))[:, None], _first),
    "neg_mean_squared_error": (lambda rows: -(_error(rows) ** 2)[:, None], _first),
    "neg_root_mean_squared_error": (lambda rows: (_error(rows) ** 2)[:, None], lambda means: -np.sqrt(means[:, 0])),
    "r2": (_r2_columns, _r2),
}
