"""How large a change is, whatever its significance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

BINS = 10
"""Number of quantile bins for numbers."""


def standardised_mean_difference(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float | None:
    """Return the difference of the means in standard deviations of the reference (Glass's delta).

    Args:
        reference: Values, shape (n,), none missing.
        current: Values, shape (m,), none missing.

    Returns:
        Positive when the current mean is higher; None when the reference is constant, so that it has no deviation.
    """
    deviation = float(reference.std(ddof=1)) if len(reference) > 1 else 0.0
    if deviation <= 1e-12 * max(1.0, abs(float(reference.mean()))):
        return None
    return float((current.mean() - reference.mean()) / deviation)


def jensen_shannon_distance(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Return the Jensen-Shannon distance of two histograms, without the part that sampling alone explains.

    Two samples of one distribution differ by chance: their divergence is about ``(k - 1) (1/n + 1/m) / 8`` nats, with k
    bins in use and n and m rows. With thirty rows that alone would be a distance of about 0.24, so it is subtracted, and
    nothing below zero remains. (Lin, 1991, for the divergence; Endres and Schindelin, 2003, for its root as a distance;
    the second-order expansion of the divergence for the correction.)

    Args:
        reference: Counts in each bin, shape (k,).
        current: Counts in the same bins, shape (k,).

    Returns:
        A distance from 0 (the same) to 1 (nothing in common).
    """
    import numpy as np

    rows_before, rows_now = float(reference.sum()), float(current.sum())
    before, now = reference / rows_before, current / rows_now
    middle = (before + now) / 2

    def divergence(shares: NDArray[np.float64]) -> float:
        used = shares > 0
        return float(np.sum(shares[used] * np.log(shares[used] / middle[used])))

    observed = (divergence(before) + divergence(now)) / 2
    bins_in_use = int(np.count_nonzero(middle))
    # Disjoint samples stay at 1: there chance explains nothing.
    by_chance = 0.0 if not np.any((before > 0) & (now > 0)) else (bins_in_use - 1) * (1 / rows_before + 1 / rows_now) / 8
    return float(np.sqrt(min(1.0, max(0.0, (observed - by_chance) / np.log(2)))))


def quantile_counts(reference: NDArray[np.float64], current: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count two samples of numbers in bins that follow the reference.

    With more than ten distinct values the bins lie between the reference's deciles. With fewer, each value is a bin of
    its own and so is each gap between them, so that a constant column that moves is seen.

    Args:
        reference: Values, shape (n,), none missing.
        current: Values, shape (m,), none missing.

    Returns:
        Counts of the reference and of the current values, in the same bins.
    """
    import numpy as np

    distinct = np.unique(reference)
    if len(distinct) <= BINS:
        size = 2 * len(distinct) + 1

        def place(values: NDArray[np.float64]) -> NDArray[np.intp]:
            return np.searchsorted(distinct, values, side="left") + np.searchsorted(distinct, values, side="right")
    else:
        edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
        size = len(edges) + 1

        def place(values: NDArray[np.float64]) -> NDArray[np.intp]:
            return np.searchsorted(edges, values, side="right")

    return np.bincount(place(reference), minlength=size).astype(float), np.bincount(place(current), minlength=size).astype(float)


def category_counts(reference: Sequence[str], current: Sequence[str]) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Count two samples of categories.

    Args:
        reference: Categories of the reference's rows.
        current: Categories of the current rows.

    Returns:
        All categories in alphabetical order, and their counts in the reference and in the current rows.
    """
    from collections import Counter

    import numpy as np

    before, now = Counter(reference), Counter(current)
    names = sorted(before.keys() | now.keys())
    return names, np.array([before[name] for name in names], dtype=float), np.array([now[name] for name in names], dtype=float)
