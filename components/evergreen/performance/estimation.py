"""Estimates the performance of a classifier from its confidences while there are no labels yet.

Confidence-based performance estimation (CBPE; NannyML, "How it works: performance estimation"): if 0.7 means seven in ten, the
probabilities indicate which labels to expect, and therefore which score. Guillory et al., "Predicting with Confidence on Unseen Distributions"
(ICCV 2021), show that confidences follow accuracy across many input shifts. Neither detects a changed relation between inputs and label:
the estimate is valid only if nothing but the inputs changed, and they did not move far beyond the training data, where confidences are
untested (NannyML states both limits; trees in particular keep the confidence they had at the edge).

Labels are drawn from the probabilities many times and each draw is scored; the interval covers what the labels may show once they arrive. First, the
probabilities are recalibrated to match the baseline's reliability curve (intercept and slope of a logistic recalibration; Cox,
"Two further applications of a model for binary regression", 1958), slightly differently in each draw, reflecting the uncertainty of the curve.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.metrics.predictions import Interval, Predictions, ScoringError
from evergreen.metrics.sufficient_statistics import row_statistics, score_once
from evergreen.performance.reliability import ReliabilityCurve, logit_of, recalibration, why_unavailable
from evergreen.results.performance import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.metrics.scoring import Metric
    from evergreen.performance.watched_rows import WatchedModel
    from evergreen.results.baseline import Calibration

DRAWS = 400
MOST_ROWS = 5000


@dataclass(frozen=True)
class EstimateRequest:
    """A request for an estimate.

    Attributes:
        metric: The metric.
        of_rows: Description of the rows, for the sentence.
        baseline: The baseline's score with its interval.
        calibration: The baseline's calibration as measured by `evergreen.evaluation.calibration`; None if it contains none.
        maximum_error: Maximum expected calibration error at which a model is trusted.
        margin: Smallest drop that matters.
        seed: Random seed for the draws.
    """

    metric: Metric
    of_rows: str
    baseline: Interval
    calibration: Calibration | None = None
    maximum_error: float = 0.05
    margin: float = 0.0
    seed: int = 7


def estimate_rows(watched: WatchedModel, rows: pd.DataFrame, request: EstimateRequest, *, target_column: str) -> Estimate:
    """Return an estimate for rows without labels, or why it is not available.

    Args:
        watched: The model.
        rows: The rows.
        request: What to estimate.
        target_column: Name of the label column.
    """
    name = request.metric.name
    try:
        said = watched.predictions(rows, target_column=target_column, labelled=False)
    except ScoringError as error:
        return Estimate(False, f"An estimate without labels is not available: {error}", name, rows=len(rows))
    curve = ReliabilityCurve.of(request.calibration)
    why_not = why_unavailable(
        task=watched.description.task,
        metric=name,
        classes=len(watched.description.classes),
        probabilities=said.probabilities is not None,
        curve=curve,
        maximum_error=request.maximum_error,
    )
    if why_not or curve is None:
        return Estimate(False, f"An estimate without labels is not available, because {why_not}.", name, rows=len(rows))
    return make_estimate(said, curve, request)


def estimate_score(metric: Metric, predictions: Predictions, curve: ReliabilityCurve, *, seed: int) -> Interval:
    """Return the expected score on rows without labels, with its 95 % interval.

    Args:
        metric: What to estimate.
        predictions: The model's predictions, with probabilities; their labels are ignored.
        curve: The baseline's calibration.
        seed: Random seed for the draws. If there are more than 5,000 rows, a random sample of 5,000 is used, which widens the interval.

    Raises:
        ScoringError: There are no probabilities, or the metric is undefined on most draws.
    """
    generator = np.random.default_rng(seed)
    rows = len(predictions)
    chosen = generator.choice(rows, MOST_ROWS, replace=False) if rows > MOST_ROWS else np.arange(rows)
    if predictions.probabilities is None:
        raise ScoringError(f"Metric {metric.name!r} cannot be estimated without probabilities. Call why_unavailable first.")
    probabilities, predicted = predictions.probabilities[chosen], predictions.predicted[chosen]
    classes = np.asarray(predictions.classes)
    bends = generator.multivariate_normal(*recalibration(curve), size=DRAWS)
    scores = np.full(DRAWS, np.nan)
    score: Callable[[Predictions], float] | None = None
    for draw, (shift, slope) in enumerate(bends):
        if len(classes) == 2:
            positive = generator.random(len(chosen)) < _bent(probabilities[:, 1], shift, slope)
            drawn = Predictions(classes[positive.astype(np.int64)], predicted, probabilities, predictions.classes)
        else:
            # Only correctness matters: the label is the predicted one, or not.
            right = generator.random(len(chosen)) < _bent(probabilities.max(axis=1), shift, slope)
            drawn = Predictions(right.astype(np.int64), np.ones(len(chosen), dtype=np.int64), None, [0, 1])
        # Some metrics are undefined for a single class.
        with contextlib.suppress(ScoringError), np.errstate(all="ignore"):
            score = score or _quickest(metric, drawn)
            scores[draw] = score(drawn)
    defined = scores[np.isfinite(scores)]
    if len(defined) < DRAWS / 2:
        raise ScoringError(f"Metric {metric.name!r} is undefined on most draws of expected labels for these {rows} rows.")
    lower, upper = np.quantile(defined, [0.025, 0.975])
    return Interval(float(defined.mean()), float(lower), float(upper))


def make_estimate(predictions: Predictions, curve: ReliabilityCurve, request: EstimateRequest) -> Estimate:
    """Return the estimate in words and numbers, compared with the baseline's score.

    Args:
        predictions: The model's predictions.
        curve: The baseline's calibration.
        request: The metric, and what the estimate is compared with.
    """
    name, rows = request.metric.name, len(predictions)
    try:
        found = estimate_score(request.metric, predictions, curve, seed=request.seed)
    except ScoringError as error:
        return Estimate(False, f"An estimate without labels is not available: {error}", name, rows=rows)
    sentence = (
        f"Estimated from the champion's confidences, without labels: {name} is {found.score:.4g} ({found.lower:.4g} to {found.upper:.4g}) on "
        f"{rows:,} {request.of_rows}, if the relation between inputs and label is unchanged and the inputs are close to the champion's training data."
    )
    drop = request.baseline.score - found.score
    spread = math.hypot(*((interval.upper - interval.lower) / (2 * NORMAL_QUANTILE) for interval in (request.baseline, found)))
    lower, upper = drop - NORMAL_QUANTILE * spread, drop + NORMAL_QUANTILE * spread
    return Estimate(
        True,
        sentence,
        name,
        *(found.score, found.lower, found.upper),
        *(drop, lower, upper),
        verdict="degraded" if lower > 0 and drop > request.margin else "holds",
        rows=rows,
        calibration_error=curve.error,
    )


def _quickest(metric: Metric, drawn: Predictions) -> Callable[[Predictions], float]:
    """Return the scorer, or its closed formula if that gives the same result, because hundreds of draws are scored."""
    if metric.statistics(drawn, metric.score_rows(drawn)) is None:
        return metric.score_rows

    def by_formula(predictions: Predictions) -> float:
        statistics = row_statistics(metric.name, predictions)
        return math.nan if statistics is None else score_once(statistics)

    return by_formula


def _bent(probability: np.ndarray[Any, Any], shift: float, slope: float) -> np.ndarray[Any, Any]:
    bent: np.ndarray[Any, Any] = 1 / (1 + np.exp(-(shift + slope * logit_of(probability))))
    return bent
