"""The profile of a dataset: a bounded summary for comparison with other data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evergreen.data.arrow_values import take_rows
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    SampledRows = tuple[pa.Table, NDArray[np.float64]]
    Correlations = tuple[list[str], NDArray[np.float64]]

TIME_COLUMN = "__time__"
"""Column of a sample that holds each row's event time in seconds since 1970."""
SAMPLE_ROWS = 20_000
CURRENT_SAMPLE_ROWS = 5000
"""Sample size of current data for joint tests; no detector uses more."""


class RowSample:
    """A uniform random sample of at most 20,000 rows of a stream.

    Every row draws a random number, and the rows with the smallest numbers are kept. Samples of shards merge into a sample of
    the whole dataset (Efraimidis and Spirakis, 2006, with equal weights). The number depends only on the seed and the row's
    position in the dataset, so that the sample does not depend on how the dataset was divided.

    Attributes:
        correlations: Rank correlations of these rows if they were stored with them: the names of the numeric columns, and the matrix.
    """

    def __init__(self, seed: int, size: int = SAMPLE_ROWS) -> None:
        """Create an empty sample.

        Args:
            seed: Seed of the draws; the same for all shards of a dataset, and different for another dataset.
            size: Maximum number of rows to keep.
        """
        self._seed = seed
        self._size = size
        self._tables: list[pa.Table] = []
        self._keys: list[NDArray[np.float64]] = []
        self._limit = 1.0
        self._unread: tuple[int, Callable[[], SampledRows]] | None = None
        self.correlations: Correlations | None = None

    @property
    def size(self) -> int:
        """Maximum number of rows kept."""
        return self._size

    @property
    def rows(self) -> int:
        """Number of rows kept."""
        return min(self._size, self._unread[0] if self._unread is not None else sum(map(len, self._keys)))

    def add(self, batch: pa.RecordBatch, place: Sequence[int]) -> None:
        """Draw a number for each row of a batch, and keep the rows with the smallest numbers.

        Args:
            batch: The rows.
            place: Position of the batch in the dataset; no two batches share a position.
        """
        import pyarrow as pa

        if not batch.num_columns:
            return
        self._read()
        keys = np.random.default_rng([self._seed, *place]).random(batch.num_rows)
        chosen = np.flatnonzero(keys < self._limit)
        if len(chosen) > self._size:
            chosen = chosen[keys[chosen] < np.partition(keys[chosen], self._size)[self._size]]
        if not len(chosen):
            return
        kept = batch if len(chosen) == batch.num_rows else take_rows(batch, chosen)
        self._tables.append(pa.Table.from_batches([kept]))
        self._keys.append(keys[chosen])
        self.correlations = None
        known = np.concatenate(self._keys)
        if len(known) >= self._size:
            # Rows of later batches that cannot be kept are not selected at all.
            self._limit = min(self._limit, float(np.partition(known, self._size - 1)[self._size - 1]))
        if len(known) > 2 * self._size:
            self._compact()

    def _compact(self) -> None:
        import pyarrow as pa

        keys = np.concatenate(self._keys)
        table = pa.concat_tables(self._tables, promote_options="permissive")
        if len(keys) > self._size:
            chosen = np.sort(np.argpartition(keys, self._size)[: self._size])
            keys, table = keys[chosen], _taken(table, chosen)
            self._limit = float(keys.max())
        self._tables, self._keys = [table], [keys]

    def merge(self, other: RowSample) -> None:
        """Add the rows of another sample that drew smaller numbers."""
        self._read()
        other._read()
        self.correlations = None
        self._tables += other._tables
        self._keys += other._keys
        if self._tables:
            self._compact()

    def state(self) -> tuple[pa.Table | None, NDArray[np.float64]]:
        """Return the sampled rows sorted by their random numbers, and these numbers."""
        self._read()
        if not self._tables:
            return None, np.zeros(0)
        self._compact()
        keys = self._keys[0]
        if (np.diff(keys) < 0).any():
            order = np.argsort(keys)
            self._tables, self._keys = [_taken(self._tables[0], order)], [keys[order]]
        return self._tables[0], self._keys[0]

    def _read(self) -> None:
        if self._unread is not None:
            table, keys = self._unread[1]()
            self._tables, self._keys, self._unread = [table], [keys], None

    @classmethod
    def restored(cls, rows: int, read: Callable[[], SampledRows], size: int, correlations: Correlations | None) -> RowSample:
        """Restore a sample from its stored state, for merging with others.

        Args:
            rows: Number of rows in the sample.
            read: Returns the rows and their random numbers; called only when they are needed, which known correlations can avoid.
            size: Maximum number of rows to keep.
            correlations: Rank correlations of the rows, if known.
        """
        sample = cls(seed=0, size=size)
        sample._unread, sample.correlations = (rows, read), correlations
        return sample


def _taken(table: pa.Table, positions: NDArray[np.int64]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([take_rows(rows, positions) for rows in table.combine_chunks().to_batches()], table.schema)


@dataclass
class DatasetProfile:
    """The profile of a dataset.

    Attributes:
        columns: Counts by column, in the dataset's order.
        left_out: Reason for each column that is not profiled.
        rows: Number of rows.
        sample: A bounded random sample of whole rows.
        importances: Importance of each feature to the champion, if known.
        period: First and last event time in seconds since 1970, if determined.
        timestamp_column: The event time column, whose values the sample keeps in the column ``__time__``; empty if it keeps none.
    """

    columns: dict[str, NumberCounts | CategoryCounts]
    left_out: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    sample: RowSample = field(default_factory=lambda: RowSample(seed=0))
    importances: dict[str, float] = field(default_factory=dict)
    period: tuple[int, int] | None = None
    timestamp_column: str = ""

    def merge(self, other: DatasetProfile) -> None:
        """Add another profile of the same columns with the same edges.

        Raises:
            DriftError: The columns, their kinds or their edges differ.
        """
        for name, counts in self.columns.items():
            theirs = other.columns.get(name)
            # Written out because merging requires the same class on both sides.
            if isinstance(counts, NumberCounts):
                if isinstance(theirs, NumberCounts):
                    counts.merge(theirs)
                    continue
            elif isinstance(theirs, CategoryCounts):
                counts.merge(theirs)
                continue
            raise DriftError(f"profiles to merge: column {name!r} is not in both, or has different kinds. Profile all shards with the same plan.")
        self.rows += other.rows
        self.sample.merge(other.sample)
        if other.period is not None:
            self.extend_period(*other.period)

    def extend_period(self, first: int, last: int) -> None:
        """Extend the period so that it contains these times, in seconds since 1970."""
        self.period = (first, last) if self.period is None else (min(first, self.period[0]), max(last, self.period[1]))
