"""Ranks, and the area under the ROC curve computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value, starting at 1, shape (rows,); ties get the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return middle[inverse]


def area_under_curve(ranks: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve from the positives' rank sum (Mann and Whitney, Annals of Mathematical Statistics 18, 1947).

    Args:
        ranks: Midranks of the scores, shape (rows,).
        positive: Whether a row is positive, shape (rows,).

    Returns:
        A number between 0 and 1; 0.5 if a class has no rows.
    """
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return 0.5
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
