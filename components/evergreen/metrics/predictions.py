"""Predictions for labelled rows, and a score with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class ScoringError(EvergreenError):
    """A metric name is invalid, or the metric is undefined on the given rows."""


@dataclass(frozen=True)
class Interval:
    """A score with the bounds of its confidence interval."""

    score: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for labelled rows.

    Attributes:
        labels: The true labels, shape (rows,).
        predicted: The predicted labels, shape (rows,).
        probabilities: Shape (rows, classes); None if the model has no probabilities.
        classes: The labels in the order of the probabilities; empty for regression.
    """

    labels: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any] | None = None
    classes: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.labels)


def rows_of(predictions: Predictions, member: np.ndarray[Any, Any] | slice) -> Predictions:
    """Return the predictions for some of the rows."""
    probabilities = None if predictions.probabilities is None else predictions.probabilities[member]
    return Predictions(predictions.labels[member], predictions.predicted[member], probabilities, predictions.classes)


def join_predictions(older: Predictions, newer: Predictions) -> Predictions:
    """Return the predictions for two groups of rows as one; probabilities are kept if both have them."""
    import numpy as np

    parts = [part for part in (older.probabilities, newer.probabilities) if part is not None]
    probabilities = np.concatenate(parts) if len(parts) == 2 else None
    return Predictions(np.concatenate([older.labels, newer.labels]), np.concatenate([older.predicted, newer.predicted]), probabilities, newer.classes)
