"""The first of at most two scans of a source, which reads its event times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from evergreen.data.arrow_values import numbers_of
from evergreen.ingestion.columns import SourceColumns
from evergreen.ingestion.errors import IngestionError, NoRowsError
from evergreen.ingestion.event_time import normalise_event_time
from evergreen.ingestion.hive_partitions import with_partition_fields
from evergreen.ingestion.reading import Portion, portions_of, read_times, schema_of
from evergreen.ingestion.window import ALIGNMENTS, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.ingestion.source_file import SourceFile

_BEFORE_ALL, _AFTER_ALL = -(1 << 63), 1 << 63


@dataclass
class EventTimes:
    """Range and alignment of event times.

    Attributes:
        latest_possible: Time after which no event can have happened yet.
        counted_window: Window whose rows are counted.
        oldest: Oldest time in microseconds since 1970. Greater than ``newest`` while no row has a time.
        newest: Newest time, likewise.
        newest_possible: The newest time that is not after ``latest_possible``.
        alignment: Index into ``ALIGNMENTS`` of the coarsest unit of which all possible times are multiples.
        rows: Number of rows with or without a time.
        rows_without_time: Number of rows whose time is null.
        rows_in_future: Number of rows whose time is after ``latest_possible``.
        rows_counted: Number of rows in ``counted_window``.
    """

    latest_possible: int = _AFTER_ALL
    counted_window: Window | None = None
    oldest: int = _AFTER_ALL
    newest: int = _BEFORE_ALL
    newest_possible: int = _BEFORE_ALL
    alignment: int = 0
    rows: int = 0
    rows_without_time: int = 0
    rows_in_future: int = 0
    rows_counted: int = 0

    def add(self, times: pa.Array) -> None:
        """Add normalized event times."""
        self.rows += len(times)
        self.rows_without_time += times.null_count
        known = numbers_of(times.drop_null().cast(pa.int64()))
        if not len(known):
            return
        self.oldest, self.newest = min(self.oldest, int(known.min())), max(self.newest, int(known.max()))
        if self.counted_window is not None:
            self.rows_counted += int(np.count_nonzero((known >= self.counted_window.start) & (known < self.counted_window.end)))
        if self.newest > self.latest_possible:
            possible = known[known <= self.latest_possible]
            self.rows_in_future += len(known) - len(possible)
            known = possible
        if len(known):
            self.newest_possible = max(self.newest_possible, int(known.max()))
            while np.any(known % ALIGNMENTS[self.alignment]):
                self.alignment += 1

    def merge(self, other: EventTimes) -> None:
        """Add the statistics of other rows."""
        self.rows += other.rows
        self.rows_without_time += other.rows_without_time
        self.rows_in_future += other.rows_in_future
        self.rows_counted += other.rows_counted
        self.newest_possible = max(self.newest_possible, other.newest_possible)
        self.alignment = max(self.alignment, other.alignment)
        self.oldest, self.newest = min(self.oldest, other.oldest), max(self.newest, other.newest)

    def may_lie_in(self, window: Window) -> bool:
        """Return whether any of these times may be in a window."""
        return self.oldest < window.end and self.newest >= window.start


@dataclass
class TimeScan:
    """The result of a scan.

    Attributes:
        schema: Columns of the dataset.
        times: Event times of the whole source.
        portions: All portions of the source with their event times, in order.
    """

    schema: pa.Schema
    times: EventTimes = field(default_factory=EventTimes)
    portions: list[tuple[Portion, EventTimes]] = field(default_factory=list)


def scan_times(
    files: Sequence[SourceFile],
    *,
    timestamp_column: str,
    excluded: Sequence[str],
    source_uri: str,
    latest_possible: int = _AFTER_ALL,
    counted_window: Window | None = None,
) -> TimeScan:
    """Read the event time of every row.

    Args:
        files: The source's files in the order in which they are read.
        timestamp_column: Column with the event time.
        excluded: Columns to omit from the dataset.
        source_uri: The requested source, for error messages.
        latest_possible: Time in microseconds since 1970 after which no event can have happened yet.
        counted_window: Window whose rows are counted.

    Raises:
        IngestionError: A file is damaged, types are incompatible, a column is missing, or a time cannot be parsed.
    """
    columns = SourceColumns(timestamp_column, excluded)
    scan = TimeScan(schema=pa.schema([]))
    # Check names and types first: this is cheap, and they are the most common mistakes.
    for file in files:
        columns.add(schema_of(file), file.uri)
    columns.output_schema()
    for file in files:
        for portion in portions_of(file):
            times = EventTimes(latest_possible, counted_window)
            for values in read_times(portion, timestamp_column):
                times.add(normalise_event_time(values, column=timestamp_column, origin=file.uri))
            if portion.text_types:
                columns.add(with_partition_fields(pa.schema(list(portion.text_types.items())), file), file.uri)
            scan.portions.append((portion, times))
            scan.times.merge(times)
    scan.schema = columns.output_schema()
    if not scan.times.rows:
        raise NoRowsError(f"source {source_uri!r}: contains no rows, only columns ({', '.join(scan.schema.names)}). Check the process that writes it.")
    if scan.times.rows == scan.times.rows_without_time:
        raise IngestionError(
            f"timestamp_column {timestamp_column!r}: is null in all {scan.times.rows:,} rows of {source_uri!r}; expected an event time. "
            "Specify another column or fill this one."
        )
    return scan
