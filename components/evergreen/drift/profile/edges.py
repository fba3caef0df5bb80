"""Where the bins of a column of numbers lie: chosen once from a sample of the reference, used for every later count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTILES = 256
FEW_VALUES = 128
TAIL = 0.001
"""Share of the reference in each tail that is watched by itself."""
EXTENSIONS = 10


def choose_edges(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of a column's bins.

    With at most 128 distinct values each value is a bin of its own, so that a constant column that moves is seen. With
    more, the edges are 256 quantiles, the outermost thousandths among them, and ten that reach out beyond the sample,
    each twice as far as the one before, because a sample may not show the whole range.

    Args:
        sample: Values, any order; missing and infinite ones are left out.

    Returns:
        Ascending edges without duplicates, shape (k,); empty when the sample holds no finite value.
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
