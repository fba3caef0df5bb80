"""Whether the champion's errors differ from those at promotion. Together with input drift, this shows whether the relation changed.

If the inputs change but the errors do not, the model still fits. If the errors grow while the inputs look the same, the relation
between inputs and label changed, which is concept drift (Gama et al., "A Survey on Concept Drift Adaptation", ACM Computing Surveys 2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.prediction_errors import WRONG, mean_error_name, prediction_errors
from evergreen.results.performance import ErrorDrift

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions
    from evergreen.results.baseline import ErrorSummary
    from evergreen.results.drift import FeatureDrift, FeatureMeasurement

BINS = 30


def compare_errors(baseline: ErrorSummary | None, predictions: Predictions) -> ErrorDrift:
    """Compare the errors of labelled rows with those in the baseline, with the same tests as for the drift of a feature.

    A change must be significant and its effect must reach its floor (see `evergreen.drift.features.conclude`).

    Args:
        baseline: The return value of `evergreen.metrics.prediction_errors.summarise_errors` at promotion; None if the baseline contains none.
        predictions: The champion's predictions for labelled rows.
    """
    measure, errors = prediction_errors(predictions)
    errors = errors[np.isfinite(errors)]
    if not baseline or not baseline.values:
        return ErrorDrift("cannot tell", "Cannot tell whether the champion's errors changed: its baseline contains none. Newly promoted versions record them.")
    if baseline.measure != measure:
        return ErrorDrift("cannot tell", f"Cannot tell whether the champion's errors changed: measured as {baseline.measure} before, as {measure} now.")
    before = np.array(baseline.values, dtype=np.float64)
    judged = _judge(before, errors, categories=measure == WRONG)
    sizes = [float(np.abs(values).mean()) for values in (before, errors)]
    if judged.measured.p_value is None:
        return ErrorDrift("cannot tell", f"Cannot tell whether the champion's errors changed: {len(errors)} rows are too few.", measure=measure)
    edges = np.histogram_bin_edges(np.concatenate([before, errors]), bins=BINS)
    worse = sizes[1] > sizes[0]
    numbers = f"{mean_error_name(measure)} {sizes[0]:.4g} at promotion, {sizes[1]:.4g} now"
    how = f"have become {'larger' if worse else 'smaller'} ({judged.severity}" if judged.drift else "look as they did at promotion ("
    counts = [np.histogram(values, bins=edges)[0].tolist() for values in (before, errors)]
    return ErrorDrift(
        "changed" if judged.drift else "unchanged",
        f"The champion's errors {how}{', ' if judged.drift else ''}{numbers}).",
        worse,
        measure,
        judged.severity,
        mean_before=sizes[0],
        mean_now=sizes[1],
        edges=edges.tolist(),
        before=counts[0],
        now=counts[1],
    )


def _judge(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any], *, categories: bool) -> FeatureDrift:
    from evergreen.drift.features import TESTS, conclude
    from evergreen.drift.settings import DriftSettings
    from evergreen.drift.statistics import corrected_p_values

    settings = DriftSettings()
    measured = _measure(before, now, categories=categories, settings=settings)
    tested = {test: getattr(measured, test) for test in TESTS if getattr(measured, test) is not None}
    return conclude(measured, dict(zip(tested, corrected_p_values(list(tested.values())), strict=True)), settings)


def _measure(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any], *, categories: bool, settings: Any) -> FeatureMeasurement:
    from evergreen.drift.features import measure_feature
    from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
    from evergreen.drift.profile.edges import choose_edges

    if categories:
        counted = [CategoryCounts(), CategoryCounts()]
        for counts, values in zip(counted, (before, now), strict=True):
            wrong = int(values.sum())
            counts.add(["right", "wrong"], np.array([len(values) - wrong, wrong], dtype=np.int64), nulls=0)
        return measure_feature("errors", *counted, settings=settings)
    edges = choose_edges(before)
    numbers = NumberCounts(edges), NumberCounts(edges)
    for column, values in zip(numbers, (before, now), strict=True):
        column.add(np.ascontiguousarray(values), nulls=0)
    return measure_feature("errors", *numbers, settings=settings)
