"""Whether a probability of 0.7 means seven in ten: the reliability curve and the expected calibration error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.results.baseline import Calibration

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions

BINS = 10


def measure_calibration(predictions: Predictions) -> Calibration | None:
    """Return the calibration, or None for regression and for models without probabilities.

    With two classes, the probability is that of the last class; with more, that of the predicted class. All bins contain the same number of
    rows, which biases the error less than bins of equal width (Roelofs et al., AISTATS 2022).

    Args:
        predictions: The model's predictions.
    """
    if predictions.probabilities is None or not len(predictions.classes):
        return None
    if len(predictions.classes) == 2:
        sure, came_true = predictions.probabilities[:, -1], predictions.labels == predictions.classes[-1]
    else:
        sure, came_true = predictions.probabilities.max(axis=1), predictions.predicted == predictions.labels
    order = np.argsort(sure, kind="stable")
    parts = [part for part in np.array_split(order, min(BINS, len(order))) if len(part)]
    predicted = [float(sure[part].mean()) for part in parts]
    observed = [float(came_true[part].mean()) for part in parts]
    rows = [len(part) for part in parts]
    error = sum(count * abs(said - seen) for count, said, seen in zip(rows, predicted, observed, strict=True)) / len(order)
    return Calibration(float(error), predicted, observed, rows)
