"""Scores of draws of rows by any metric: from sufficient statistics where it has some, otherwise by its scorer, one draw at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.sufficient_statistics import CellStatistics, MeanStatistics, auc_of_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.metrics.predictions import Predictions
    from evergreen.metrics.scoring import Metric

    Array = np.ndarray[Any, Any]


def draw_scores(metric: Metric, predictions: Predictions, draws: Sequence[Array]) -> Array:
    """Return the score on each draw of row numbers, shape (draws,); NaN where the metric is undefined.

    Args:
        metric: The metric.
        predictions: Predictions for labelled rows.
        draws: Row numbers, with repetitions.

    Raises:
        ScoringError: The metric is undefined on all rows together.
    """
    statistics = metric.statistics(predictions, metric.score_rows(predictions))
    if statistics is None:
        return metric.resampled(predictions, draws)
    if isinstance(statistics, CellStatistics):
        cells = np.stack([np.bincount(statistics.codes[draw], minlength=statistics.classes**2) for draw in draws])
        return statistics.finish(cells.reshape(-1, statistics.classes, statistics.classes).astype(np.float64))
    counts = np.stack([np.bincount(draw, minlength=len(predictions)) for draw in draws])
    if isinstance(statistics, MeanStatistics):
        return statistics.finish(counts @ statistics.columns / counts.sum(axis=1, keepdims=True))
    return auc_of_counts(statistics, counts)
