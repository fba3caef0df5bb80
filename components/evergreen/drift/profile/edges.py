"""Bin edges of numeric columns, chosen once from a sample of the reference and used for all later counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTILES = 256
FEW_VALUES = 128
TAIL = 0.001
"""Share of the reference in each tail, which is monitored separately."""
EXTENSIONS = 10


def choose_edges(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bin edges of a column.

    With at most 128 distinct values, each value has its own bin, so that a change of a constant column is detected. With
    more, the edges are 256 quantiles, including the outermost thousandths, plus ten edges on each side beyond the sample,
    each twice as far out as the previous one, because a sample may not cover the whole range.

    Args:
        sample: Values in any order; missing and infinite values are ignored.

    Returns:
        Ascending edges without duplicates, shape (k,); empty if the sample has no finite value.
    """
    finite = sample[np.isfinite(sample)]
    if not len(finite):
        return np.zeros(0)
    ordered = np.sort(finite)
    distinct = ordered[np.concatenate([[True], ordered[1:] > ordered[:-1]])]
    if len(distinct) <= FEW_VALUES:
        few: NDArray[np.float64] = np.unique(np.concatenate([distinct, np.nextafter(distinct, np.inf)]))
        return few
    shares = np.concatenate([np.linspace(0, 1, QUANTILES), [TAIL, 1 - TAIL]])
    inner = ordered[(shares * (len(ordered) - 1)).astype(np.int64)]
    low, high = float(distinct[0]), float(distinct[-1])
    with np.errstate(over="ignore"):
        reach = (high - low) * 2.0 ** np.arange(-3, EXTENSIONS - 3)
        edges = np.concatenate([low - reach, inner, [np.nextafter(high, np.inf)], high + reach])
    chosen: NDArray[np.float64] = np.unique(edges[np.isfinite(edges)])
    return chosen
