"""Selects reference rows from the same days of the year as the current data, so that winters are compared with winters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.data.arrow_values import take_rows
from evergreen.drift.profile.batches import WHOLE, PlacedBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from evergreen.drift.profile.batches import Shard, TableFiles

LONGEST_DAYS = 330
"""A longer window covers most of a year and has no distinct season."""
MARGIN_DAYS = 7
DAY = 86_400
NO_TIME = np.iinfo(np.int64).min


def same_period(batches: Iterable[PlacedBatch], period: tuple[int, int], timestamp_column: str) -> Iterator[PlacedBatch]:
    """Yield the rows whose day of the year is in a period, extended by a week on each side.

    Args:
        batches: Rows of the reference, with the event time.
        period: First and last event time of the current data, in seconds since 1970.
        timestamp_column: Name of the event time column, which may also hold seconds since 1970.
    """
    for place, batch in batches:
        times = seconds(batch.column(batch.schema.get_field_index(timestamp_column)))
        yield PlacedBatch(place, take_rows(batch, np.flatnonzero(_in_period(times, period))))


def has_season(period: tuple[int, int]) -> bool:
    """Return whether a period is short enough to have a distinct season."""
    return (period[1] - period[0]) // DAY < LONGEST_DAYS


def _in_period(times: NDArray[np.int64], period: tuple[int, int]) -> NDArray[np.bool_]:
    days = (period[1] - period[0]) // DAY
    start = period[0] // DAY - MARGIN_DAYS
    # A year of 365.25 days needs no calendar: it is never off by more than a day, which a margin of a week covers, and knows no New Year.
    inside: NDArray[np.bool_] = ((times / DAY - start) % 365.25 < days + 1 + 2 * MARGIN_DAYS) & (times != NO_TIME)
    return inside


def has_times(schema: pa.Schema, timestamp_column: str) -> bool:
    """Return whether a dataset has a column of this name that holds times."""
    import pyarrow as pa

    if timestamp_column not in schema.names:
        return False
    kind = schema.field(timestamp_column).type
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def seconds(times: pa.Array) -> NDArray[np.int64]:
    """Return times as whole seconds since 1970, and a missing one as `NO_TIME`; whole numbers are such seconds already."""
    # NumPy, because importing pyarrow.compute takes longer than counting a quiet day's rows.
    values = times.to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = values if values.dtype == np.int64 else values.astype("datetime64[s]").astype(np.int64)
    return found


def bounds(times: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return the first and last of several times; None if there is none."""
    known = times[times != NO_TIME]
    return (int(known.min()), int(known.max())) if len(known) else None


def period_of(source: TableFiles, timestamp_column: str, shard: Shard = WHOLE) -> tuple[int, int] | None:
    """Return the first and last event time of a dataset in seconds since 1970; None if it has none.

    Args:
        source: The dataset.
        timestamp_column: Name of the event time column.
        shard: The part of the dataset to read.
    """
    if not has_times(source.schema, timestamp_column):
        return None
    found = [bounds(seconds(batch.column(0))) for _, batch in source.batches([timestamp_column], shard)]
    known = [period for period in found if period is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None
