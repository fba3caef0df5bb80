"""How well a model's probabilities were calibrated at promotion, and whether they can be used for an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.settings.function_path import is_function_path

if TYPE_CHECKING:
    from evergreen.results.baseline import Calibration

FEWEST_CALIBRATION_ROWS = 100
SMALLEST = 1e-6
NEWTON_STEPS = 20
TOP_CLASS_METRICS = ("accuracy",)
"""Metrics determined by the probability of the predicted class alone, the only one checked with more than two classes."""


@dataclass(frozen=True)
class ReliabilityCurve:
    """The baseline's calibration: mean probability, observed share and number of rows of each bin, each of shape (bins,)."""

    error: float
    predicted: np.ndarray[Any, Any]
    observed: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]

    @classmethod
    def of(cls, calibration: Calibration | None) -> ReliabilityCurve | None:
        """Read the curve from a baseline; None if it contains none."""
        if calibration is None or not calibration.rows:
            return None
        arrays = (np.array(values, dtype=np.float64) for values in (calibration.predicted, calibration.observed, calibration.rows))
        return cls(calibration.error, *arrays)


def why_unavailable(*, task: str, metric: str, classes: int, probabilities: bool, curve: ReliabilityCurve | None, maximum_error: float) -> str:
    """Return why an estimate is not available, as the end of a sentence; empty if it is.

    A model counts as uncalibrated if its expected calibration error is above the maximum and larger than chance would produce for a calibrated
    model on the same number of rows (95 % quantile of draws from its own probabilities).

    Args:
        task: ``classification`` or ``regression``.
        metric: The metric's name.
        classes: Number of classes.
        probabilities: Whether the model provides probabilities.
        curve: The baseline's calibration.
        maximum_error: Maximum expected calibration error at which a model is trusted.
    """
    total = 0 if curve is None else int(curve.rows.sum())
    obstacles = (
        (task != "classification", "a regression model provides no probabilities; its errors can only be measured with labels"),
        (not probabilities, "the model provides no probabilities"),
        (is_function_path(metric), f"{metric} is a custom function, which may use more than labels and probabilities"),
        (classes > 2 and metric not in TOP_CLASS_METRICS, f"with {classes} classes, only {TOP_CLASS_METRICS[0]} can be estimated, not {metric}"),
        (curve is None, "the champion's baseline contains no calibration; newly promoted versions record it"),
        (total < FEWEST_CALIBRATION_ROWS, f"calibration was measured on only {total} rows; {FEWEST_CALIBRATION_ROWS} are required"),
        (_uncalibrated(curve, maximum_error), f"the model is not calibrated: {_calibration_words(curve, maximum_error)}"),
    )
    return next((words for stands, words in obstacles if stands), "")


def _uncalibrated(curve: ReliabilityCurve | None, maximum_error: float) -> bool:
    return curve is not None and curve.error > maximum_error and curve.error > _chance_error(curve)


def _calibration_words(curve: ReliabilityCurve | None, maximum_error: float) -> str:
    return "" if curve is None else f"its expected calibration error at promotion was {curve.error:.3g}, above {maximum_error:g}"


def logit_of(probability: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the log odds; probabilities of 0 and 1 are clipped to values close to them."""
    inside = np.clip(probability, SMALLEST, 1 - SMALLEST)
    logit: np.ndarray[Any, Any] = np.log(inside / (1 - inside))
    return logit


def recalibration(curve: ReliabilityCurve) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the intercept and slope that map probabilities onto the curve, shape (2,), and their covariance, shape (2, 2)."""
    logit = logit_of(curve.predicted)
    design = np.stack([np.ones_like(logit), logit], axis=1)
    # A weak prior at the identity: if all confidences are alike, nothing else determines the slope.
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
