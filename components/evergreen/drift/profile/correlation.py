"""Rank correlations of the numeric columns in a sample: robust against outliers, cheap, and invariant to monotonic rescaling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evergreen.data.arrow_values import float_values_or_nan
from evergreen.drift.profile.accumulators import NumberCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evergreen.drift.profile.table_profile import DatasetProfile


MOST_ROWS = 5000
"""Maximum number of rows for measuring correlations; the error of a correlation is then about 0.014."""


def rank_correlations(profile: DatasetProfile) -> tuple[list[str], NDArray[np.float64]]:
    """Return Spearman's correlations between the profile's numeric columns, on the rows of its sample.

    A missing value gets the middle rank of its column, which weakens a correlation but never creates one.

    Args:
        profile: The columns and the sample, which may include correlations measured when the profile was stored.

    Returns:
        The column names and the correlation matrix, shape (k, k); NaN for a constant column.
    """
    names = [name for name, counts in profile.columns.items() if isinstance(counts, NumberCounts)]
    if profile.sample.correlations is not None and profile.sample.correlations[0] == names:
        return profile.sample.correlations
    sample = profile.sample.state()[0]
    if sample is None or not names:
        return [], np.zeros((0, 0))
    # The sample is random, so every k-th row is a random sample too.
    thinned = slice(None, None, -(-sample.num_rows // MOST_ROWS))
    ranks = np.stack([_centred_ranks(float_values_or_nan(sample.column(name).combine_chunks())[thinned]) for name in names])
    norms = np.sqrt((ranks**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return names, (ranks @ ranks.T) / np.outer(norms, norms)


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = np.zeros(len(values))
    present = np.flatnonzero(~np.isnan(values))
    if len(present):
        _, inverse, counts = np.unique(values[present], return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - (counts + 1) / 2
        ranks[present] = middle[inverse] - (len(present) - 1) / 2
    return ranks


def changed_correlation(before: float, rows_before: int, now: float, rows_now: int) -> float:
    """Return the p-value of a test for equal rank correlations.

    Uses Fisher's transformation with the variance for ranks, 1.06 / (n - 3) (Fieller, Hartley and Pearson, 1957).
    """
    if min(rows_before, rows_now) <= 3 or math.isnan(before) or math.isnan(now):
        return 1.0
    limit = 1 - 1e-12
    gap = math.atanh(max(-limit, min(limit, before))) - math.atanh(max(-limit, min(limit, now)))
    return math.erfc(abs(gap) / math.sqrt(1.06 / (rows_before - 3) + 1.06 / (rows_now - 3)) / math.sqrt(2))
