"""Estimates when a model's errors last changed, from the errors of single rows in time order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.prediction_errors import error_sizes
from evergreen.metrics.predictions import Predictions, ScoringError, rows_of
from evergreen.metrics.ranks import midranks

if TYPE_CHECKING:
    from evergreen.metrics.scoring import Metric

Array = np.ndarray[Any, Any]

FEWEST_ROWS_APART = 20
"""A change must lie at least this many rows from the first and the last one: fewer rows are no evidence."""
FALSE_ALARMS = 0.01
SHUFFLES = 299
MOST_ROWS = 20_000


def latest_fall(metric: Metric, said: Predictions, *, seed: int = 7) -> int | None:
    """Return the row since which a model has been worse, or None if there is no reliable evidence of one.

    Its errors rise there, and its score is lower after it than before: in some seasons, single rows are harder to predict, and the score is no lower.

    Args:
        metric: The metric.
        said: The model's predictions for labelled rows, oldest first.
        seed: Random seed of the shuffles.

    Returns:
        The index of the first row after the change.
    """
    change = latest_rise(error_sizes(said), seed=seed)
    if change is None:
        return None
    try:
        before, after = (metric.score_rows(rows_of(said, rows)) for rows in (slice(0, change), slice(change, None)))
    except ScoringError:
        # One class only on one side: the errors alone decide.
        return change
    return change if after < before else None


def latest_rise(errors: Array, *, false_alarms: float = FALSE_ALARMS, seed: int = 7) -> int | None:
    """Return the row at which the errors last changed, or None if they fell there, or if there is no reliable evidence of a change.

    Where the errors fell, as they do after the hard season of a year or when an old relation returns, older rows are no worse for learning.

    The rank scan of Pettitt (Applied Statistics 28, 1979): at each row, the mean ranks of the errors before and after it are compared, each
    difference in units of its standard deviation, and the largest one marks the change. Ranks make single large errors harmless. Its p-value comes
    from scans of shuffled errors (Antoch and Huskova, Statistics and Probability Letters 53, 2001), which keeps the rate of false alarms for any
    distribution of independent errors. The rows after a change are scanned again (binary segmentation, Vostrikova, Soviet Mathematics Doklady 24,
    1981), so that the latest of several changes is found.

    Args:
        errors: Error of each row, oldest row first, shape (rows,). Only the newest 20,000 are considered.
        false_alarms: Share of series without a change in which one may be found.
        seed: Random seed of the shuffles.

    Returns:
        The index of the first row after the change.
    """
    first = max(0, len(errors) - MOST_ROWS)
    generator = np.random.default_rng(seed)
    found: int | None = None
    while True:
        change = _change(np.asarray(errors[first:], dtype=np.float64), false_alarms, generator)
        if change is None:
            return found
        rose = _rise(errors[first:], change) > 0
        found, first = (first + change if rose else None), first + change


def _rise(errors: Array, change: int) -> float:
    """Return by how much the mean rank of the errors is higher after a change than before it."""
    ranks = midranks(np.asarray(errors, dtype=np.float64))
    return float(ranks[change:].mean() - ranks[:change].mean())


def _change(errors: Array, false_alarms: float, generator: np.random.Generator) -> int | None:
    rows = len(errors)
    if rows < 2 * FEWEST_ROWS_APART or not np.isfinite(errors).all():
        return None
    ranks = midranks(errors)
    spread = ranks.std()
    if spread == 0:
        return None
    standard = (ranks - ranks.mean()) / spread
    before = np.arange(FEWEST_ROWS_APART, rows - FEWEST_ROWS_APART + 1)
    scale = np.sqrt(before * (rows - before) / rows)
    differences = np.abs(np.cumsum(standard)[before - 1]) / scale
    largest = float(differences.max())
    allowed, above = int(false_alarms * (SHUFFLES + 1)) - 1, 0
    for _ in range(SHUFFLES):
        above += float((np.abs(np.cumsum(generator.permutation(standard))[before - 1]) / scale).max()) >= largest
        if above > allowed:
            # The p-value can only grow: no change.
            return None
    return int(before[int(differences.argmax())])
