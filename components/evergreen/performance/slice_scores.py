"""Scores the champion on slices of the rows and identifies the worst slice, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.performance.errors import PerformanceError
from evergreen.results.performance import SliceResult

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.metrics.predictions import Predictions
    from evergreen.metrics.scoring import Metric
    from evergreen.performance.settings import PerformanceSettings

SCORED = "scored"


def score_parts(frame: pd.DataFrame, predictions: Predictions, *, metric: Metric, settings: PerformanceSettings, seed: int) -> list[SliceResult]:
    """Score the champion on each slice, worst first; intervals are Bonferroni-corrected for the number of scored slices.

    Args:
        frame: The labelled rows.
        predictions: The champion's predictions for them.
        metric: The metric.
        settings: The slices and their minimum size.
        seed: Random seed for the bootstrap.

    Returns:
        The result for each slice.

    Raises:
        PerformanceError: A slice names a column that does not exist, or its expression cannot be evaluated.
    """
    if not settings.slices:
        return []
    from evergreen.metrics.slices import Draws, find_slices, score_slices

    # Monitoring only reports the worst slice; margins apply to the gate.
    slices = find_slices(frame, settings.slices, margin=0.0, setting="performance.slices", error_class=PerformanceError)
    scores = score_slices(slices, predictions, None, metric=metric, draws=Draws(seed=seed), minimum_rows=settings.slice_minimum_rows)
    found = [SliceResult(item.name, item.rows, item.verdict if item.score is None else SCORED, item.score, item.lower, item.upper) for item in scores]
    return sorted(found, key=lambda item: (item.score is None, item.score or 0.0))


def worst_part(parts: list[SliceResult]) -> SliceResult | None:
    """Return the slice with the lowest score, or None if no slice was scored."""
    return next((part for part in parts if part.verdict == SCORED), None)
