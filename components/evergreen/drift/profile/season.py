"""Selects reference rows from the same days of the year as the current data, so that winters are compared with winters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.drift.profile.batches import WHOLE, PlacedBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evergreen.drift.profile.batches import Shard, TableFiles

LONGEST_DAYS = 330
"""A longer window covers most of a year and has no distinct season."""
MARGIN_DAYS = 7


def same_period(batches: Iterable[PlacedBatch], period: tuple[int, int], timestamp_column: str, *, columns: list[str]) -> Iterator[PlacedBatch]:
    """Yield the rows whose day of the year is in a period, extended by a week on each side.

    Args:
        batches: Rows of the reference, with the event time.
        period: First and last event time of the current data, in seconds since 1970.
        timestamp_column: Name of the event time column.
        columns: The columns to return.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = period
    days = (last - first) // 86_400
    start = first // 86_400 - MARGIN_DAYS
    for place, whole in batches:
        batch = whole
        if days < LONGEST_DAYS:
            times = pc.cast(pc.cast(batch.column(batch.schema.get_field_index(timestamp_column)), pa.timestamp("s"), safe=False), pa.int64())
            # A year of 365.25 days is accurate enough for a margin of a week.
            offset = pc.subtract(pc.divide(pc.cast(times, pa.float64()), 86_400.0), float(start))
            day = pc.subtract(offset, pc.multiply(pc.floor(pc.divide(offset, 365.25)), 365.25))
            batch = batch.filter(pc.less(day, float(days + 1 + 2 * MARGIN_DAYS)))
        yield PlacedBatch(place, batch.select(columns))


def period_of(source: TableFiles, timestamp_column: str, shard: Shard = WHOLE) -> tuple[int, int] | None:
    """Return the first and last event time of a dataset in seconds since 1970; None if it has none.

    Args:
        source: The dataset.
        timestamp_column: Name of the event time column.
        shard: The part of the dataset to read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if timestamp_column not in source.schema.names or not pa.types.is_temporal(source.schema.field(timestamp_column).type):
        return None
    low: int | None = None
    high: int | None = None
    for _, batch in source.batches([timestamp_column], shard):
        seconds = pc.cast(pc.cast(batch.column(0), pa.timestamp("s"), safe=False), pa.int64())
        found = pc.min_max(seconds).as_py()
        if found["min"] is not None:
            low = found["min"] if low is None else min(low, found["min"])
            high = found["max"] if high is None else max(high, found["max"])
    return None if low is None or high is None else (low, high)
