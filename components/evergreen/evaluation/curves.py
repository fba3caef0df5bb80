"""Classifier plots in the KFP UI: the confusion matrix and, for two classes, the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions

MOST_POINTS = 100
MOST_CATEGORIES = 30


def log_curves(artifact: Any, predictions: Predictions) -> None:
    """Log a classifier's confusion matrix and ROC curve; does nothing for regression.

    The ROC curve has at most 100 points, spread evenly over its thresholds, and requires two classes that both occur. The matrix is
    omitted above 30 classes, where it becomes unreadable.

    Args:
        artifact: KFP's ClassificationMetrics.
        predictions: The model's predictions, with probabilities of shape (rows, classes).
    """
    from sklearn.metrics import confusion_matrix, roc_curve

    classes = list(predictions.classes)
    if not classes:
        return
    known = np.asarray(sorted({*classes, *(value.item() if hasattr(value, "item") else value for value in np.unique(predictions.labels))}))
    if len(known) <= MOST_CATEGORIES:
        matrix = confusion_matrix(predictions.labels, predictions.predicted, labels=known)
        artifact.log_confusion_matrix([str(value) for value in known], [[int(count) for count in row] for row in matrix])
    truth = predictions.labels == classes[-1]
    if len(known) == 2 and predictions.probabilities is not None and 0 < truth.sum() < len(truth):
        false_positive, true_positive, thresholds = roc_curve(truth, predictions.probabilities[:, -1])
        # The first threshold is infinite, which is not JSON.
        finite = np.flatnonzero(np.isfinite(thresholds))
        kept = finite[np.unique(np.linspace(0, len(finite) - 1, min(MOST_POINTS, len(finite))).astype(int))]
        artifact.log_roc_curve(*([float(value) for value in series[kept]] for series in (false_positive, true_positive, thresholds)))
