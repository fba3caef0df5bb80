"""Effect sizes, regardless of significance, computed from counts rather than values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evergreen.drift.profile.edges import FEW_VALUES, TAIL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evergreen.drift.profile.accumulators import NumberCounts

FEWEST_FOR_TAILS = 1000
"""Minimum number of reference values for its outermost thousandths to be meaningful."""


def standardised_mean_difference(reference: NumberCounts, current: NumberCounts) -> float | None:
    """Return the difference of means in standard deviations of the reference (Glass's delta).

    Returns:
        Positive if the current mean is higher; None if the reference is constant and therefore has no deviation.
    """
    if reference.deviation <= 1e-12 * max(1.0, abs(reference.mean)):
        return None
    return (current.mean - reference.mean) / reference.deviation


def spread_change(reference: NumberCounts, current: NumberCounts) -> float | None:
    """Return the logarithm of the ratio of the middle spreads, from the 16% to the 84% quantile: a tenth more is 0.095.

    Quantiles are robust against a few extreme values.

    Returns:
        Positive if the current values are more spread out; None if either spread is zero or the column has few distinct values.
    """
    if _has_few_values(reference):
        return None
    spreads = [_quantile(counts, 0.84) - _quantile(counts, 0.16) for counts in (reference, current)]
    if min(spreads) <= 0 or not all(map(math.isfinite, spreads)):
        return None
    return math.log(spreads[1] / spreads[0])


def _quantile(counts: NumberCounts, share: float) -> float:
    """Return a quantile, interpolated within its bin; the outermost bins end at the minimum and maximum."""
    ends = np.concatenate([[counts.minimum], np.clip(counts.edges, counts.minimum, counts.maximum), [counts.maximum]])
    below = np.concatenate([[0], np.cumsum(counts.counts)])
    return float(np.interp(share * below[-1], below, ends))


def tail_shares(reference: NumberCounts, current: NumberCounts) -> tuple[int, int] | None:
    """Return how many values of each side are outside the reference's 0.1% and 99.9% quantiles, at the nearest bin edges.

    Returns:
        None if the reference has too few values, or too few distinct values, to have tails.
    """
    if reference.values < FEWEST_FOR_TAILS or _has_few_values(reference):
        return None
    shares = np.cumsum(reference.counts) / reference.values
    low = int(np.searchsorted(shares, TAIL, side="right"))
    high = int(np.searchsorted(shares, 1 - TAIL, side="left")) + 1
    inside = slice(low, max(low, high))
    return reference.values - int(reference.counts[inside].sum()), current.values - int(current.counts[inside].sum())


def _has_few_values(counts: NumberCounts) -> bool:
    return len(counts.edges) <= 2 * FEW_VALUES


def jensen_shannon_distance(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Return the Jensen-Shannon distance of two histograms, corrected for sampling noise.

    Two samples of one distribution differ by chance: their divergence is about ``(k - 1) (1/n + 1/m) / 8`` nats, with k
    bins in use and n and m rows. With thirty rows this alone would be a distance of about 0.24, so it is subtracted, with a
    lower limit of zero. (Lin, 1991, for the divergence; Endres and Schindelin, 2003, for its root as a distance; the
    second-order expansion of the divergence for the correction.)

    Args:
        reference: Counts in each bin, shape (k,).
        current: Counts in the same bins, shape (k,).

    Returns:
        A distance from 0 (identical) to 1 (disjoint).
    """
    rows_before, rows_now = float(reference.sum()), float(current.sum())
    before, now = reference / rows_before, current / rows_now
    middle = (before + now) / 2

    def divergence(shares: NDArray[np.float64]) -> float:
        used = shares > 0
        return float(np.sum(shares[used] * np.log(shares[used] / middle[used])))

    observed = (divergence(before) + divergence(now)) / 2
    bins_in_use = int(np.count_nonzero(middle))
    # Disjoint samples keep distance 1, because chance explains none of it.
    by_chance = 0.0 if not np.any((before > 0) & (now > 0)) else (bins_in_use - 1) * (1 / rows_before + 1 / rows_now) / 8
    return float(np.sqrt(min(1.0, max(0.0, (observed - by_chance) / np.log(2)))))
