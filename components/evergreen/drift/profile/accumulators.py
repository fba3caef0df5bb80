"""Accumulators of one column: exact additive counts, and mergeable moments.

Two accumulators of the same column with the same edges merge into the same state as one accumulator of all rows: counts
exactly, moments up to rounding (Chan, Golub and LeVeque, 1983).
"""

from __future__ import annotations

import math
import threading
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evergreen.drift.errors import DriftError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MOST_CATEGORIES = 10_000
"""Maximum number of categories kept by name; the rows of all others are counted in a remainder."""


_buffers = threading.local()


def _scratch(name: str, size: int) -> NDArray[np.float64]:
    """Return a thread-local buffer, because new arrays of this size cost more in page faults than sorting does."""
    buffer: NDArray[np.float64] | None = getattr(_buffers, name, None)
    if buffer is None or len(buffer) < size:
        buffer = np.empty(size)
        setattr(_buffers, name, buffer)
    return buffer[:size]


@dataclass
class NumberCounts:
    """Counts and moments of a numeric column.

    Attributes:
        edges: Ascending edges, shape (k,).
        counts: Number of values in (-inf, e0), [e0, e1), ..., [ek, inf), shape (k + 1,).
        rows: Number of rows.
        missing: Number of rows without a value: null or NaN.
        infinite: Number of rows with an infinite value, which are counted in the outermost bins.
        mean: Mean of the finite values.
        squares: Sum of squared deviations of the finite values from their mean.
        minimum: Smallest finite value; inf if there is none.
        maximum: Largest finite value; -inf if there is none.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def __post_init__(self) -> None:
        if not len(self.counts):
            self.counts = np.zeros(len(self.edges) + 1, dtype=np.int64)

    @property
    def values(self) -> int:
        """Number of rows with a value."""
        return self.rows - self.missing

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite values; 0 for fewer than two."""
        finite = self.values - self.infinite
        return math.sqrt(max(self.squares, 0.0) / (finite - 1)) if finite > 1 else 0.0

    def add(self, values: NDArray[np.float64], *, nulls: int) -> None:
        """Count a chunk. Sorting it and searching for the edges is much cheaper than searching for each value's bin.

        Args:
            values: The non-null values in any order; NaN counts as missing.
            nulls: Number of additional nulls.
        """
        ordered = _scratch("ordered", len(values))
        ordered[:] = values
        ordered.sort()
        # NaN is sorted to the end, after inf.
        present = int(np.searchsorted(ordered, math.inf, side="right"))
        self.rows += len(values) + nulls
        self.missing += nulls + len(values) - present
        if not present:
            return
        ordered = ordered[:present]
        below = np.searchsorted(ordered, self.edges, side="left")
        self.counts += np.diff(below, prepend=0, append=present)
        start, end = int(np.searchsorted(ordered, -math.inf, side="right")), int(np.searchsorted(ordered, math.inf, side="left"))
        self.infinite += present - (end - start)
        if end > start:
            self._add_moments(ordered[start:end])

    def _add_moments(self, ordered: NDArray[np.float64]) -> None:
        mean = float(ordered.mean())
        apart = np.subtract(ordered, mean, out=_scratch("apart", len(ordered)))
        # Not np.dot: BLAS would distribute a vector of this size to its own threads, which costs more than the sum.
        np.multiply(apart, apart, out=apart)
        known = self.values - self.infinite - len(ordered)
        self._merge_moments(known, len(ordered), mean, float(apart.sum()))
        self.minimum = min(self.minimum, float(ordered[0]))
        self.maximum = max(self.maximum, float(ordered[-1]))

    def _merge_moments(self, known: int, added: int, mean: float, squares: float) -> None:
        total = known + added
        if not total:
            return
        gap = mean - self.mean
        self.mean += gap * added / total
        self.squares += squares + gap * gap * known * added / total

    def merge(self, other: NumberCounts) -> None:
        """Add the counts of other rows.

        Raises:
            DriftError: The other column was counted with different edges.
        """
        if not np.array_equal(self.edges, other.edges):
            raise DriftError("profiles to merge: a column was counted with different edges. Profile all shards with the edges of one plan.")
        known, added = self.values - self.infinite, other.values - other.infinite
        self._merge_moments(known, added, other.mean, other.squares)
        self.counts = self.counts + other.counts
        self.rows += other.rows
        self.missing += other.missing
        self.infinite += other.infinite
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)


@dataclass
class CategoryCounts:
    """Counts of a categorical column.

    If there are more than 10,000 categories, a random choice is kept by name, independent of the row order.

    Attributes:
        counts: Number of rows per category.
        rows: Number of rows.
        missing: Number of rows without a value.
        remainder: Number of rows of categories that are not kept by name.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    missing: int = 0
    remainder: int = 0

    @property
    def values(self) -> int:
        """Number of rows with a value."""
        return self.rows - self.missing

    def add(self, names: list[str], numbers: NDArray[np.int64], *, nulls: int) -> None:
        """Count a chunk.

        Args:
            names: Categories, possibly with duplicates.
            numbers: Number of rows of each.
            nulls: Number of additional nulls.
        """
        self._add_counts(zip(names, numbers.tolist(), strict=True))
        self.rows += int(numbers.sum()) + nulls
        self.missing += nulls

    def _add_counts(self, counts: Iterable[tuple[str, int]]) -> None:
        # The choice of names must not depend on the row order; otherwise merged shards would differ from the whole.
        last = max(map(_place, self.counts)) if self.remainder else None
        for name, number in counts:
            if name in self.counts:
                self.counts[name] += number
            elif last is not None and _place(name) > last:
                self.remainder += number
            elif number:
                self.counts[name] = number
        for name in sorted(self.counts, key=_place)[MOST_CATEGORIES:] if len(self.counts) > MOST_CATEGORIES else ():
            self.remainder += self.counts.pop(name)

    def merge(self, other: CategoryCounts) -> None:
        """Add the counts of other rows."""
        self._add_counts(other.counts.items())
        self.rows += other.rows
        self.missing += other.missing
        self.remainder += other.remainder
        if other.remainder:
            last = max(map(_place, other.counts))
            for name in [name for name in self.counts if _place(name) > last and name not in other.counts]:
                self.remainder += self.counts.pop(name)


def _place(name: str) -> tuple[int, str]:
    """Return a sort key that is unrelated to the meaning of names, so that the first names are a random choice."""
    return zlib.crc32(name.encode()), name
