"""Significance tests on counts, using only NumPy and the standard library."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEWEST_EXPECTED = 5.0
"""Minimum expected rows per cell of the chi-squared test (Cochran, 1954)."""


def kolmogorov_smirnov(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Return the p-value of the two-sample Kolmogorov-Smirnov test on counts in common bins.

    The largest distance between the two distribution functions is evaluated at the bin edges, so it is at most the distance
    of the raw values, and the test is conservative. The distribution is asymptotic, with the finite-sample correction by
    Stephens (1970).

    Args:
        reference: Counts, shape (k,), not all zero.
        current: Counts, shape (k,), not all zero.
    """
    rows_before, rows_now = int(reference.sum()), int(current.sum())
    distance = float(np.max(np.abs(np.cumsum(reference) / rows_before - np.cumsum(current) / rows_now)))
    root = math.sqrt(rows_before * rows_now / (rows_before + rows_now))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    total = math.fsum((-1.0) ** (term - 1) * math.exp(-2.0 * (term * scaled) ** 2) for term in range(1, 101))
    return min(1.0, max(0.0, 2.0 * total))


def chi_squared(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Return the p-value of the chi-squared test of homogeneity.

    Args:
        reference: Counts, shape (k,).
        current: Counts in the same cells, shape (k,).

    Returns:
        The p-value; 1 if fewer than two cells are in use.
    """
    used = reference + current > 0
    if used.sum() < 2:
        return 1.0
    table = np.vstack([reference[used], current[used]]).astype(float)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return upper_gamma((int(used.sum()) - 1) / 2, statistic / 2)


def upper_gamma(shape: float, value: float) -> float:
    """Return the regularized upper incomplete gamma function Q(shape, value).

    Uses a series below ``shape + 1`` and Lentz's continued fraction above (Press et al., Numerical Recipes, section 6.2).
    """
    if value <= 0:
        return 1.0
    scale = math.exp(min(0.0, shape * math.log(value) - value - math.lgamma(shape))) if value > shape + 1 else None
    if scale is None:
        term = total = 1.0 / shape
        for step in range(1, 10_000):
            term *= value / (shape + step)
            total += term
            if term < total * 1e-15:
                break
        return max(0.0, 1.0 - total * math.exp(shape * math.log(value) - value - math.lgamma(shape)))
    tiny = 1e-300
    fraction_b = value + 1 - shape
    fraction_c, fraction_d = 1 / tiny, 1 / fraction_b
    result = fraction_d
    for step in range(1, 10_000):
        factor = -step * (step - shape)
        fraction_b += 2
        fraction_d = factor * fraction_d + fraction_b
        fraction_d = 1 / (fraction_d if abs(fraction_d) > tiny else tiny)
        fraction_c = fraction_b + factor / fraction_c
        fraction_c = fraction_c if abs(fraction_c) > tiny else tiny
        result *= fraction_d * fraction_c
        if abs(fraction_d * fraction_c - 1) < 1e-15:
            break
    return min(1.0, scale * result)


def equal_shares(count_before: int, rows_before: int, count_now: int, rows_now: int) -> float:
    """Return the p-value of a test for equal shares.

    Uses Fisher's exact test (two-sided: all tables no more likely than the observed one) if a cell is small, and otherwise
    the normal approximation with pooled variance.

    Args:
        count_before: Counted reference rows.
        rows_before: All reference rows.
        count_now: Counted current rows.
        rows_now: All current rows.
    """
    total, rows = count_before + count_now, rows_before + rows_now
    if total in (0, rows):
        return 1.0
    smallest = min(total, rows - total) * min(rows_before, rows_now) / rows
    if smallest >= 20:
        pooled = total / rows
        error = math.sqrt(pooled * (1 - pooled) * (1 / rows_before + 1 / rows_now))
        return math.erfc(abs(count_before / rows_before - count_now / rows_now) / error / math.sqrt(2))
    return _fisher(count_before, rows_before, total, rows)


def _fisher(count: int, rows_before: int, total: int, rows: int) -> float:
    def log_choose(whole: int, part: int) -> float:
        return math.lgamma(whole + 1) - math.lgamma(part + 1) - math.lgamma(whole - part + 1)

    if total > rows - total:
        count, total = rows_before - count, rows - total
    low, high = max(0, total - (rows - rows_before)), min(total, rows_before)
    logs = [log_choose(rows_before, k) + log_choose(rows - rows_before, total - k) - log_choose(rows, total) for k in range(low, high + 1)]
    observed = logs[count - low]
    return min(1.0, sum(math.exp(log) for log in logs if log <= observed + 1e-9))


def coarse_cells(reference: NDArray[np.int64], current: NDArray[np.int64], cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge adjacent bins into a limited number of cells of about equal size, none with fewer than five expected rows.

    Args:
        reference: Counts in bin order, shape (k,).
        current: Counts, shape (k,).
        cells: Maximum number of cells.

    Returns:
        Both counts in the same merged cells.
    """
    together = reference + current
    total = int(together.sum())
    needed = max(total / cells, FEWEST_EXPECTED * total / max(1, min(int(reference.sum()), int(current.sum()))))
    labels = np.minimum(np.floor((np.cumsum(together) - together / 2) / needed), max(0, math.floor(total / needed) - 1)).astype(np.int64)
    size = int(labels[-1]) + 1 if len(labels) else 0
    joined = (np.bincount(labels, weights=counts, minlength=size).astype(np.int64) for counts in (reference, current))
    return next(joined), next(joined)


def corrected_p_values(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests by controlling the false discovery rate (Benjamini and Hochberg, 1995).

    Args:
        p_values: One p-value per test.

    Returns:
        The corrected p-values in the same order: a test is a discovery at rate q if its value is at most q.
    """
    count = len(p_values)
    corrected = [1.0] * count
    smallest = 1.0
    order = sorted(range(count), key=lambda index: p_values[index], reverse=True)
    for rank, index in zip(range(count, 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * count / rank)
        corrected[index] = smallest
    return corrected
