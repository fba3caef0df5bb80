"""How well a classifier does where there are no labels yet: an estimate from how sure it is.

Confidence-based performance estimation (CBPE; NannyML, "How it works: performance estimation"): when 0.7 means seven in ten, the
probabilities say which labels to expect, and with them which score. Guillory et al., "Predicting with Confidence on Unseen Distributions"
(ICCV 2021), show that confidences follow the accuracy over many shifts of the inputs. Neither sees a changed relation between inputs and label:
the estimate says what the score is if only the inputs moved, and not far beyond what the model has learned from: there confidences were never
tested (NannyML names both limits; trees in particular go on with the confidence they had at the edge).

Labels are drawn from the probabilities many times and each draw is scored; the interval holds what the labels, once they come, may show. The
probabilities are bent first so that they agree with the baseline's reliability curve (intercept and slope of a logistic recalibration; Cox,
"Two further applications of a model for binary regression", 1958), in each draw a little differently, by as much as the curve's rows leave open.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.custom_metric import is_custom
from evergreen.row_statistics import row_statistics, score_once
from evergreen.scoring import NORMAL_QUANTILE, Interval, Predictions, ScoringError

if TYPE_CHECKING:
    from evergreen.scoring import Metric

DRAWS = 400
MOST_ROWS = 5000
FEWEST_CALIBRATION_ROWS = 100
SMALLEST = 1e-6
NEWTON_STEPS = 20
TOP_CLASS_METRICS = ("accuracy",)
"""What the probability of the predicted class alone tells; it is all that is checked for more than two classes."""


@dataclass
class Estimate:
    """An estimate of the score on rows without labels; its fields are those of ``estimate`` in the performance result.

    Attributes:
        available: Whether there is one.
        sentence: The estimate in words, or why there is none.
        metric: The metric.
        score: The estimated score.
        lower: Lower end of its 95 % interval.
        upper: Upper end of its 95 % interval.
        drop: The baseline's score minus the estimate.
        drop_lower: Lower end of the drop's 95 % interval.
        drop_upper: Upper end of the drop's 95 % interval.
        verdict: ``degraded`` when the estimated drop is significant and larger than the margin, else ``holds``; empty when there is no estimate.
        rows: Number of rows that it is about.
        calibration_error: The baseline's expected calibration error.
    """

    available: bool
    sentence: str
    metric: str = ""
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    drop: float | None = None
    drop_lower: float | None = None
    drop_upper: float | None = None
    verdict: str = ""
    rows: int = 0
    calibration_error: float | None = None


@dataclass(frozen=True)
class ReliabilityCurve:
    """The baseline's calibration: mean probability, share that came true, and rows of each bin, each of shape (bins,)."""

    error: float
    predicted: np.ndarray[Any, Any]
    observed: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]

    @classmethod
    def read(cls, content: dict[str, Any] | None) -> ReliabilityCurve | None:
        """Return the curve that a baseline holds, or None when it holds none."""
        if not content or not content.get("rows"):
            return None
        arrays = (np.array(content[name], dtype=np.float64) for name in ("predicted", "observed", "rows"))
        return cls(float(content["error"]), *arrays)


def why_unavailable(*, task: str, metric: str, classes: int, probabilities: bool, curve: ReliabilityCurve | None, maximum_error: float) -> str:
    """Return why there can be no estimate, as the end of a sentence; empty when there can be one.

    A model counts as uncalibrated when its expected calibration error is above the maximum and larger than chance gives a calibrated model
    on so many rows (95 % quantile of draws from its own probabilities).

    Args:
        task: ``classification`` or ``regression``.
        metric: The metric's name.
        classes: Number of classes.
        probabilities: Whether the model gives probabilities.
        curve: The baseline's calibration.
        maximum_error: The largest expected calibration error of a model that is trusted.
    """
    total = 0 if curve is None else int(curve.rows.sum())
    obstacles = (
        (task != "classification", "a regression model says no probabilities; its errors can only be known from labels"),
        (not probabilities, "the model gives no probabilities"),
        (is_custom(metric), f"{metric} is a function of your own, which may look at more than labels and probabilities"),
        (classes > 2 and metric not in TOP_CLASS_METRICS, f"for {classes} classes only {TOP_CLASS_METRICS[0]} can be estimated, not {metric}"),
        (curve is None, "the champion's baseline holds no calibration; a version that is promoted from now on does"),
        (total < FEWEST_CALIBRATION_ROWS, f"whether the model is calibrated was seen on {total} rows only; {FEWEST_CALIBRATION_ROWS} are needed"),
        (_uncalibrated(curve, maximum_error), f"the model is not calibrated: {_calibration_words(curve, maximum_error)}"),
    )
    return next((words for stands, words in obstacles if stands), "")


def _uncalibrated(curve: ReliabilityCurve | None, maximum_error: float) -> bool:
    return curve is not None and curve.error > maximum_error and curve.error > _chance_error(curve)


def _calibration_words(curve: ReliabilityCurve | None, maximum_error: float) -> str:
    return "" if curve is None else f"its expected calibration error at promotion was {curve.error:.3g}, above {maximum_error:g}"


def estimate_score(metric: Metric, predictions: Predictions, curve: ReliabilityCurve, *, seed: int) -> Interval:
    """Return the score to expect on rows without labels, with its 95 % interval.

    Args:
        metric: What to estimate.
        predictions: What the model said, with probabilities; its labels are not looked at.
        curve: The baseline's calibration.
        seed: Seed of the draws. Of more than 5,000 rows a random 5,000 are taken, which widens the interval.

    Raises:
        ScoringError: The metric is not defined on most draws.
    """
    generator = np.random.default_rng(seed)
    rows = len(predictions)
    chosen = generator.choice(rows, MOST_ROWS, replace=False) if rows > MOST_ROWS else np.arange(rows)
    assert predictions.probabilities is not None  # noqa: S101  # the caller has asked why_unavailable
    probabilities, predicted = predictions.probabilities[chosen], predictions.predicted[chosen]
    classes = np.asarray(predictions.classes)
    bends = generator.multivariate_normal(*_recalibration(curve), size=DRAWS)
    scores = np.full(DRAWS, np.nan)
    score: Callable[[Predictions], float] | None = None
    for draw, (shift, slope) in enumerate(bends):
        if len(classes) == 2:
            positive = generator.random(len(chosen)) < _bent(probabilities[:, 1], shift, slope)
            drawn = Predictions(classes[positive.astype(np.int64)], predicted, probabilities, predictions.classes)
        else:
            # Only right or wrong matters: the label is the predicted one, or not.
            right = generator.random(len(chosen)) < _bent(probabilities.max(axis=1), shift, slope)
            drawn = Predictions(right.astype(np.int64), np.ones(len(chosen), dtype=np.int64), None, [0, 1])
        # With one class only some metrics are not defined.
        with contextlib.suppress(ScoringError), np.errstate(all="ignore"):
            score = score or _quickest(metric, drawn)
            scores[draw] = score(drawn)
    defined = scores[np.isfinite(scores)]
    if len(defined) < DRAWS / 2:
        raise ScoringError(f"metric {metric.name!r}: not defined on most draws of expected labels for these {rows} rows.")
    lower, upper = np.quantile(defined, [0.025, 0.975])
    return Interval(float(defined.mean()), float(lower), float(upper))


def make_estimate(
    metric: Metric,
    predictions: Predictions,
    curve: ReliabilityCurve,
    *,
    of_rows: str,
    baseline: Interval | None,
    margin: float,
    seed: int,
) -> Estimate:
    """Return the estimate in words and numbers, beside the baseline's score.

    Args:
        metric: What to estimate.
        predictions: What the model said.
        curve: The baseline's calibration.
        of_rows: Which rows these are, for the sentence.
        baseline: The baseline's score with its interval.
        margin: Smallest drop that matters.
        seed: Seed of the draws.
    """
    rows = len(predictions)
    try:
        found = estimate_score(metric, predictions, curve, seed=seed)
    except ScoringError as error:
        return Estimate(False, f"An estimate without labels is not available, because of this: {error}", metric.name, rows=rows)
    result = Estimate(True, "", metric.name, found.score, found.lower, found.upper, rows=rows, calibration_error=curve.error)
    result.sentence = (
        f"Estimated from the champion's confidences, without labels: {metric.name} is {found.score:.4g} ({found.lower:.4g} to {found.upper:.4g}) on "
        f"{rows:,} {of_rows}, if the relation between inputs and label is what it was and the inputs lie where the champion has learned."
    )
    if baseline is not None:
        result.drop = baseline.score - found.score
        spread = math.hypot(*((interval.upper - interval.lower) / (2 * NORMAL_QUANTILE) for interval in (baseline, found)))
        result.drop_lower, result.drop_upper = result.drop - NORMAL_QUANTILE * spread, result.drop + NORMAL_QUANTILE * spread
        result.verdict = "degraded" if result.drop_lower > 0 and result.drop > margin else "holds"
    return result


def _quickest(metric: Metric, drawn: Predictions) -> Callable[[Predictions], float]:
    """Return the scorer, or its formula where that gives the same: hundreds of draws are scored."""
    if metric.statistics(drawn, metric.score_rows(drawn)) is None:
        return metric.score_rows

    def by_formula(predictions: Predictions) -> float:
        statistics = row_statistics(metric.name, predictions)
        return math.nan if statistics is None else score_once(statistics)

    return by_formula


def _bent(probability: np.ndarray[Any, Any], shift: float, slope: float) -> np.ndarray[Any, Any]:
    bent: np.ndarray[Any, Any] = 1 / (1 + np.exp(-(shift + slope * _logit(probability))))
    return bent


def _logit(probability: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    inside = np.clip(probability, SMALLEST, 1 - SMALLEST)
    logit: np.ndarray[Any, Any] = np.log(inside / (1 - inside))
    return logit


def _recalibration(curve: ReliabilityCurve) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return intercept and slope that bend probabilities onto the curve, shape (2,), and their covariance, shape (2, 2)."""
    logit = _logit(curve.predicted)
    design = np.stack([np.ones_like(logit), logit], axis=1)
    # A weak prior at "no bending": with all confidences alike nothing else says what the slope is.
    start, bend = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    for _ in range(NEWTON_STEPS):
        expected = 1 / (1 + np.exp(-design @ bend))
        gradient = design.T @ (curve.rows * (curve.observed - expected)) - (bend - start)
        information = design.T @ (design * (curve.rows * expected * (1 - expected))[:, None]) + np.eye(2)
        bend = bend + np.linalg.solve(information, gradient)
    return bend, np.linalg.inv(information)


def _chance_error(curve: ReliabilityCurve) -> float:
    generator = np.random.default_rng(0)
    counts = curve.rows.astype(np.int64)
    observed = generator.binomial(counts, np.clip(curve.predicted, 0, 1), size=(1000, len(counts))) / counts
    errors = (counts * np.abs(observed - curve.predicted)).sum(axis=1) / counts.sum()
    return float(np.quantile(errors, 0.95))
