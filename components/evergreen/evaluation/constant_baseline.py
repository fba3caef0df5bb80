"""A constant predictor that ignores all features: the minimum that a model has to beat."""

from __future__ import annotations

import numpy as np

from evergreen.metrics.predictions import Predictions

MEDIAN_METRICS = ("neg_mean_absolute_error", "neg_median_absolute_error", "neg_mean_absolute_percentage_error")


def naive_predictions(predictions: Predictions, *, metric_name: str) -> Predictions:
    """Return the predictions of a constant for the rows.

    The constant is derived from the same labels that it is scored on (the most frequent class and the class shares; the median for absolute
    errors, otherwise the mean). No constant chosen in advance does better on these rows, so a challenger that beats it has learned
    something. The choice errs on the side of caution.

    Args:
        predictions: A model's predictions; only their labels and classes are used.
        metric_name: The metric that will score them.
    """
    labels = predictions.labels
    if len(predictions.classes) == 0:
        value = np.median(labels) if metric_name in MEDIAN_METRICS else np.mean(labels)
        return Predictions(labels=labels, predicted=np.full(len(labels), value))
    present, counts = np.unique(labels, return_counts=True)
    predicted = np.full(len(labels), present[counts.argmax()], dtype=labels.dtype)
    shares = np.array([float(np.mean(labels == value)) for value in predictions.classes])
    total = shares.sum()
    probabilities = np.tile(shares / total if total else np.full(len(shares), 1 / len(shares)), (len(labels), 1))
    return Predictions(labels=labels, predicted=predicted, probabilities=probabilities, classes=predictions.classes)
