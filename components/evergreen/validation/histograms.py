"""Small column histograms that highlight rows that violate a rule; plain SVG, which needs no import."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.validation.rules import ColumnRules

BINS = 20
CATEGORIES = 8
_WIDTH, _HEIGHT, _LABELS = 560, 120, 34
_GOOD, _BROKEN = "var(--series-one, #2f6690)", "var(--series-two, #d1722c)"


@dataclass(frozen=True)
class Histogram:
    """Value counts of a column.

    Attributes:
        labels: One label per bar; empty if a bar needs none.
        kept: Rows per bar that meet all rules.
        broken: Rows per bar that violate a rule.
    """

    labels: Sequence[str]
    kept: npt.NDArray[np.int64]
    broken: npt.NDArray[np.int64]


def histogram_of(values: pd.Series[Any], positions: Sequence[int], rules: ColumnRules | None) -> Histogram | None:
    """Count a column's values.

    Numbers and times are counted in equal bins of the allowed range, with one bar for all values below and one for all above, so that an outlier
    does not squeeze the others into one bar. Text and booleans are counted by value: the most frequent values, and all others together.

    Args:
        values: The column, with positions as the index.
        positions: Positions of the rows that violate a rule.
        rules: The column's rules, if any.

    Returns:
        The counts, or None if there is nothing to count.
    """
    broken = np.zeros(len(values), dtype=bool)
    broken[list(positions)] = True
    known = values.notna().to_numpy()
    if not known.any():
        return None
    if isinstance(values.dtype, pd.DatetimeTZDtype) or (pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)):
        return _of_numbers(values[known], broken[known], rules)
    return _of_categories(values[known].astype(str), broken[known])


def histogram_svg(histogram: Histogram, title: str) -> str:
    """Return the histogram as an ``<svg>`` element with the title as its text alternative."""
    totals = histogram.kept + histogram.broken
    highest, width = max(int(totals.max()), 1), _WIDTH / len(totals)
    bars = []
    for index, (kept, broken, label) in enumerate(zip(histogram.kept, histogram.broken, histogram.labels, strict=True)):
        left, top = index * width + 1, float(_HEIGHT)
        for count, colour in ((int(kept), _GOOD), (int(broken), _BROKEN)):
            # Keep one row in a million visible.
            height = max(count / highest * (_HEIGHT - 14), 2.0) if count else 0.0
            top -= height
            bars.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(width - 2, 1):.1f}" height="{height:.1f}" fill="{colour}"/>')
        if broken:
            bars.append(f'<text x="{left + width / 2:.1f}" y="{top - 3:.1f}" text-anchor="middle" font-size="10" fill="currentColor">{int(broken):,}</text>')
        if label:
            anchor = "start" if index == 0 else "end" if index == len(totals) - 1 else "middle"
            place = {"start": left, "middle": left + width / 2, "end": left + width - 2}[anchor]
            bars.append(f'<text x="{place:.1f}" y="{_HEIGHT + 14}" text-anchor="{anchor}" font-size="11" fill="currentColor">{escape(label)}</text>')
    legend = f'<text x="0" y="{_HEIGHT + 30}" font-size="11" fill="{_BROKEN}">\N{BLACK SQUARE} violates a rule</text>'
    # Leave room above the bars for the count of the highest bar.
    box = f"0 -14 {_WIDTH} {_HEIGHT + _LABELS + 14}"
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-label="{escape(title, quote=True)}" width="100%">'
    return f"{start}{''.join(bars)}{legend}</svg>"


def _of_numbers(values: pd.Series[Any], broken: npt.NDArray[np.bool_], rules: ColumnRules | None) -> Histogram | None:
    times = isinstance(values.dtype, pd.DatetimeTZDtype)
    numbers = values.astype("int64").to_numpy(dtype=np.float64) if times else values.to_numpy(dtype=np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return None
    numbers, broken = numbers[finite], broken[finite]
    low, high = float(numbers.min()), float(numbers.max())
    bounded = rules is not None and not times and rules.minimum is not None and rules.maximum is not None
    if bounded and rules is not None:
        low, high = float(str(rules.minimum)), float(str(rules.maximum))
    if low == high:
        low, high = low - 0.5, high + 0.5
    inner = np.linspace(low, high, BINS - 1)
    bins = np.clip(np.searchsorted(inner, numbers, side="right"), 0, BINS)
    bins[numbers == high] = BINS - 2
    kept, wrong = (np.bincount(bins[chosen], minlength=BINS).astype(np.int64) for chosen in (~broken, broken))
    shown = [pd.Timestamp(int(value), tz="UTC").strftime("%Y-%m-%d") if times else f"{value:.6g}" for value in (low, high)]
    if not bounded:
        # Nothing is outside the range, so omit the outer bars.
        kept, wrong = kept[1 : BINS - 1], wrong[1 : BINS - 1]
        return Histogram([shown[0], *[""] * (len(kept) - 2), shown[1]], kept, wrong)
    return Histogram([f"below {shown[0]}", *[""] * (BINS - 2), f"above {shown[1]}"], kept, wrong)


def _of_categories(values: pd.Series[str], broken: npt.NDArray[np.bool_]) -> Histogram:
    wrong_first = pd.Series(broken, index=values.index).groupby(values).agg(["sum", "size"]).sort_values(["sum", "size"], ascending=False)
    shown = list(wrong_first.head(CATEGORIES).index)
    labels = [f"{name[:12]}\N{HORIZONTAL ELLIPSIS}" if len(name) > 13 else name for name in shown]
    kept = [int(size - wrong) for wrong, size in wrong_first.head(CATEGORIES).itertuples(index=False)]
    wrong = [int(wrong) for wrong, _ in wrong_first.head(CATEGORIES).itertuples(index=False)]
    rest = wrong_first.iloc[CATEGORIES:]
    if len(rest):
        labels.append(f"{len(rest)} others")
        kept.append(int((rest["size"] - rest["sum"]).sum()))
        wrong.append(int(rest["sum"].sum()))
    return Histogram(labels, np.array(kept), np.array(wrong))
