"""Reference rows of the same days of the year as the current data, so that a winter is compared with winters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.drift.errors import DriftError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from evergreen.drift.batches import Source

LONGEST_DAYS = 330
"""A window that covers most of a year has no season of its own."""
MARGIN_DAYS = 7


def same_period(reference: Source, current: Source, timestamp_column: str, *, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the reference's rows whose day of the year lies in the current data's period, a week more on each side.

    Args:
        reference: The reference; needs the event time.
        current: The current data.
        timestamp_column: The event time.
        columns: The columns wanted.

    Raises:
        DriftError: The event time is missing or holds no times.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = _span(current, timestamp_column)
    days = (last - first) // 86_400
    start = first // 86_400 - MARGIN_DAYS
    for whole in reference.batches([*columns, timestamp_column]):
        batch = whole
        if days < LONGEST_DAYS:
            times = pc.cast(pc.cast(batch.column(batch.schema.get_field_index(timestamp_column)), pa.timestamp("s"), safe=False), pa.int64())
            # A year of 365.25 days is exact enough for a margin of a week.
            offset = pc.subtract(pc.divide(pc.cast(times, pa.float64()), 86_400.0), float(start))
            place = pc.subtract(offset, pc.multiply(pc.floor(pc.divide(offset, 365.25)), 365.25))
            batch = batch.filter(pc.less(place, float(days + 1 + 2 * MARGIN_DAYS)))
        yield batch.select(columns)


def _span(source: Source, timestamp_column: str) -> tuple[int, int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if timestamp_column not in source.schema.names or not pa.types.is_temporal(source.schema.field(timestamp_column).type):
        raise DriftError(
            f"reference_season 'same-period': the current data has no column of times named {timestamp_column!r}; its columns are "
            f"{', '.join(source.schema.names)}. Give the event time's column, or set reference_season to 'none'."
        )
    low: int | None = None
    high: int | None = None
    for batch in source.batches([timestamp_column]):
        seconds = pc.cast(pc.cast(batch.column(0), pa.timestamp("s"), safe=False), pa.int64())
        found = pc.min_max(seconds).as_py()
        if found["min"] is not None:
            low = found["min"] if low is None else min(low, found["min"])
            high = found["max"] if high is None else max(high, found["max"])
    if low is None or high is None:
        raise DriftError(f"reference_season 'same-period': column {timestamp_column!r} of the current data holds no time.")
    return low, high
