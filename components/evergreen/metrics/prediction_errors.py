"""Errors of individual predictions, and a summary stored with a model version as a baseline for later errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.results.baseline import ErrorSummary

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions

LOG_LOSS, WRONG, RESIDUAL = "log loss", "wrong", "residual"
MOST_VALUES = 1000
SMALLEST_PROBABILITY = 1e-6
"""Caps the error of a model that is certain and wrong, which would otherwise be infinite."""


def prediction_errors(predictions: Predictions) -> tuple[str, np.ndarray[Any, Any]]:
    """Return the name of the error measure, and the error of each row, shape (rows,).

    Regression: ``residual``, the label minus the prediction. Classification: ``log loss`` of the label's probability, or ``wrong`` (0 or 1)
    for a model without probabilities.

    Args:
        predictions: The model's predictions for labelled rows.
    """
    if not len(predictions.classes):
        return RESIDUAL, np.asarray(predictions.labels, dtype=np.float64) - np.asarray(predictions.predicted, dtype=np.float64)
    if predictions.probabilities is None:
        return WRONG, (predictions.labels != predictions.predicted).astype(np.float64)
    sure = np.zeros(len(predictions))
    for position, label in enumerate(predictions.classes):
        member = predictions.labels == label
        sure[member] = predictions.probabilities[member, position]
    return LOG_LOSS, -np.log(np.maximum(sure, SMALLEST_PROBABILITY))


def error_sizes(predictions: Predictions) -> np.ndarray[Any, Any]:
    """Return how large the error of each row is, shape (rows,): a residual counts with its absolute value."""
    sizes: np.ndarray[Any, Any] = np.abs(prediction_errors(predictions)[1])
    return sizes


def mean_error_name(measure: str) -> str:
    """Return the mean size of errors in words, by their measure."""
    return {RESIDUAL: "mean distance from the label", WRONG: "share of wrong predictions"}.get(measure, "mean log loss")


def summarise_errors(predictions: Predictions) -> ErrorSummary:
    """Return a summary of the errors, with all sorted values or, for more than 1,000 rows, evenly spaced quantiles."""
    measure, errors = prediction_errors(predictions)
    ordered = np.sort(errors[np.isfinite(errors)])
    if len(ordered) > MOST_VALUES:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_VALUES).round().astype(np.int64)]
    return ErrorSummary(measure, len(errors), [float(f"{value:.6g}") for value in ordered])
