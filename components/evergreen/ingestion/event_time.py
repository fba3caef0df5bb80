"""Converts event times of all common forms to microseconds in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.data.arrow_values import arrow_array, numbers_of, validity_of
from evergreen.data.times import iso_time
from evergreen.ingestion.errors import IngestionError

EVENT_TIME = pa.timestamp("us", tz="UTC")
"""Arrow type of the event-time column of every dataset."""

EXPECTED = "expected timestamps, dates, ISO 8601 text such as 2024-01-31T12:00:00Z, or epoch integers"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = (int((time.replace(tzinfo=timezone.utc) - _EPOCH) / timedelta(microseconds=1)) for time in (datetime.min, datetime.max))  # noqa: DTZ901  # the time zone is added here
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|z|[+-]\d{2}(:?\d{2})?)?)?$"
_ZONE = r"[T ].*(Z|z|[+-]\d{2}(:?\d{2})?)$"
# Upper bound of the numbers read in a unit, and the unit's length in microseconds.
_EPOCH_UNITS = ((1e11, "seconds", 1e6), (1e14, "milliseconds", 1e3), (1e17, "microseconds", 1.0), (float("inf"), "nanoseconds", 1e-3))


def iso_event_time(microseconds: int) -> str:
    """Return a time, in microseconds since 1970, as ISO text in UTC that ends in ``Z``, with fractional seconds only when needed."""
    return iso_time(_EPOCH + timedelta(microseconds=microseconds))


def normalise_event_time(values: pa.Array, *, column: str, origin: str) -> pa.Array:
    """Return event times as ``timestamp[us, tz=UTC]``.

    Timestamps may have any unit and time zone; without a time zone they are UTC. Precision finer than a microsecond is truncated. Numbers,
    and text that contains only integers, count from 1970 in a unit inferred from their size: seconds below 1e11, milliseconds below 1e14,
    microseconds below 1e17, otherwise nanoseconds (so milliseconds before March 1973 need a real timestamp).

    Args:
        values: Part of the event-time column.
        column: Name of the column, for error messages.
        origin: The file that the values come from, for error messages.

    Returns:
        An array of the same length as ``values``, null where ``values`` is null (or NaN).

    Raises:
        IngestionError: A value is not a time, or is outside the years 1 to 9999.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return normalise_event_time(values.dictionary_decode(), column=column, origin=origin)
    if pa.types.is_null(kind):
        return pa.nulls(len(values), EVENT_TIME)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        times = _from_text(values.cast(pa.string()), column=column, origin=origin)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        times = _from_numbers(values, column=column, origin=origin)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = _from_timestamps(values, column=column, origin=origin)
    else:
        raise IngestionError(f"event-time column {column!r} in {origin}: holds {kind} values; {EXPECTED}. Specify the column that holds the event time.")
    _refuse_far_times(times, column=column, origin=origin)
    return times


def _from_timestamps(values: pa.Array, *, column: str, origin: str) -> pa.Array:
    try:
        whole = values.cast(pa.timestamp("ms")) if pa.types.is_date(values.type) else values
        return pc.cast(whole, options=pc.CastOptions(target_type=EVENT_TIME, allow_time_truncate=True))
    except pa.ArrowInvalid as error:
        raise IngestionError(
            f"event-time column {column!r} in {origin}: holds times outside the years 1 to 9999: {error}. Correct or remove the rows."
        ) from error


def _from_text(values: pa.Array, *, column: str, origin: str) -> pa.Array:
    text = pc.utf8_trim_whitespace(values)
    if len(text) > text.null_count and pc.all(pc.match_substring_regex(text, r"^-?\d{1,19}$")).as_py():
        return _from_numbers(text.cast(pa.int64()), column=column, origin=origin)
    well_formed = pc.match_substring_regex(text, _ISO)
    if pc.all(well_formed).as_py() is not False:
        try:
            return _cast_iso(text)
        except pa.ArrowInvalid:
            pass  # A month 13 or a 30th of February; reported below.
    wrong = [value for value in text.to_pylist() if value is not None and not _is_iso_time(value)]
    raise IngestionError(
        f"event-time column {column!r} in {origin}: {wrong[0]!r} cannot be parsed as a time ({len(wrong):,} of {len(text):,} values); {EXPECTED}. "
        "Correct the values or specify another column."
    )


def _cast_iso(text: pa.Array) -> pa.Array:
    # Arrow accepts at most as many digits as the unit has, and rejects text without a time zone for a type with one (and vice versa).
    text = pc.replace_substring_regex(text, r"(\.\d{6})\d+", r"\1")
    text = pc.replace_substring_regex(text, "z$", "Z")
    zoned = pc.match_substring_regex(text, _ZONE)
    nothing = pa.nulls(len(text), pa.string())
    with_zone = pc.if_else(zoned, text, nothing).cast(EVENT_TIME)
    without_zone = pc.if_else(zoned, nothing, text).cast(pa.timestamp("us")).cast(EVENT_TIME)
    return pc.coalesce(with_zone, without_zone)


def _is_iso_time(value: str) -> bool:
    single = _single(value)
    try:
        return bool(pc.match_substring_regex(single, _ISO)[0].as_py()) and _cast_iso(single).null_count == 0
    except pa.ArrowInvalid:
        return False


def parse_iso_time(text: str) -> int | None:
    """Return an ISO time as microseconds since 1970, UTC, or None if the text is not an ISO time."""
    if not _is_iso_time(text.strip()):
        return None
    return int(_cast_iso(_single(text.strip())).cast(pa.int64())[0].as_py())


def _single(text: str) -> pa.Array:
    # pa.array would import pandas; see arrow_values.
    content = text.encode()
    return pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, len(content)], dtype=np.int32)), pa.py_buffer(content))


def _from_numbers(values: pa.Array, *, column: str, origin: str) -> pa.Array:
    present, numbers = validity_of(values), numbers_of(values)
    if pa.types.is_floating(values.type):
        present = present & ~np.isnan(numbers)
    known = numbers[present]
    if not len(known):
        return pa.nulls(len(values), EVENT_TIME)
    sizes = np.abs(known.astype(np.float64))
    if not np.isfinite(sizes).all():
        raise IngestionError(f"event-time column {column!r} in {origin}: infinity is not a time; {EXPECTED}. Correct or remove the rows.")
    _, unit, factor = _epoch_unit(sizes.max())
    smallest = sizes[sizes > 0].min() if (sizes > 0).any() else sizes.max()
    if _epoch_unit(smallest)[1] != unit:
        raise IngestionError(
            f"event-time column {column!r} in {origin}: holds both {smallest:.0f} and {sizes.max():.0f}, which cannot be epoch times of one unit; {EXPECTED}. "
            "Write the column as timestamps."
        )
    if pa.types.is_integer(values.type):
        whole = known.astype(np.int64)
        microseconds = whole // 1000 if factor < 1 else whole * int(factor)
    else:
        microseconds = np.floor(known * factor).astype(np.int64) if factor <= 1 else np.round(known * factor).astype(np.int64)
    _refuse_written_dates(known, column=column, origin=origin)
    result = np.zeros(len(values), dtype=np.int64)
    result[present] = microseconds
    return arrow_array(result, pa.int64(), present).cast(EVENT_TIME)


def _epoch_unit(size: float) -> tuple[float, str, float]:
    return next(unit for unit in _EPOCH_UNITS if size < unit[0])


def _refuse_written_dates(known: np.ndarray[Any, Any], *, column: str, origin: str) -> None:
    # 20240131 would silently be read as seconds, a day in August 1970.
    years, months, days = known // 10_000, known // 100 % 100, known % 100
    if ((years >= 1900) & (years < 2200) & (months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all():
        raise IngestionError(
            f"event-time column {column!r} in {origin}: {int(known[0])} looks like a date written as YYYYMMDD, not an epoch time; {EXPECTED}. "
            "Write the column as dates or as text such as 2024-01-31."
        )


def _refuse_far_times(times: pa.Array, *, column: str, origin: str) -> None:
    if times.null_count == len(times):
        return
    ends = pc.min_max(times.cast(pa.int64())).as_py()
    if ends["min"] < _FIRST or ends["max"] > _LAST:
        raise IngestionError(f"event-time column {column!r} in {origin}: holds times outside the years 1 to 9999. Correct or remove the rows.")
