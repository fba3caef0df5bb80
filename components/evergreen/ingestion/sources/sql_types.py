"""Converts database columns to dataset columns, and times to the database's representation."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from evergreen.ingestion.errors import IngestionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def as_selected(column: Column[Any], dialect: str) -> ColumnElement[Any]:
    """Return the expression to select a column: SQLite times are selected as stored, because SQLite stores text or numbers of any form."""
    from sqlalchemy import type_coerce
    from sqlalchemy.types import Date, DateTime, NullType, Time

    if dialect == "sqlite" and isinstance(column.type, (Date, DateTime, Time)):
        return type_coerce(column, NullType()).label(column.name)
    return column


def arrow_type(column: Column[Any], dialect: str) -> pa.DataType:
    """Return the type of a column in the dataset; decimals become floats, and types without an equivalent become text."""
    from sqlalchemy import types

    kind, typed_times = column.type, dialect != "sqlite"
    candidates = (
        (types.Boolean, pa.bool_()),
        (types.Integer, pa.int64()),
        (types.Numeric, pa.float64()),
        (types.Float, pa.float64()),
        (types.LargeBinary, pa.binary()),
        (types.DateTime, pa.timestamp("us", tz="UTC" if getattr(kind, "timezone", False) else None) if typed_times else pa.string()),
        (types.Date, pa.date32() if typed_times else pa.string()),
    )
    return next((found for known, found in candidates if isinstance(kind, known)), pa.string())


def type_of_times(sample: Any) -> pa.DataType:
    """Return the type of a column of times, given one of them."""
    if isinstance(sample, bool):
        return pa.bool_()
    if isinstance(sample, int):
        return pa.int64()
    if isinstance(sample, (float, Decimal)):
        return pa.float64()
    if isinstance(sample, datetime):
        return pa.timestamp("us", tz="UTC" if sample.tzinfo else None)
    return pa.date32() if isinstance(sample, date) else pa.string()


def bound_like(sample: Any, sample_ticks: int, ticks: int) -> Any:
    """Return a time in the database's representation.

    Args:
        sample: A time from the database: a datetime, a date, ISO text, or an epoch number (possibly as text).
        sample_ticks: The same time in microseconds since 1970.
        ticks: The time to convert, in microseconds since 1970. For text, only the date is used, because ``T``, blanks and time zones differ.
    """
    time = _EPOCH + timedelta(microseconds=ticks)
    if isinstance(sample, datetime):
        return time if sample.tzinfo else time.replace(tzinfo=None)
    if isinstance(sample, date):
        return time.date()
    if isinstance(sample, (int, float, Decimal)):
        return int(ticks * float(sample) / sample_ticks) if sample_ticks else ticks // 1_000_000
    if str(sample).lstrip("-").isdigit():
        return str(bound_like(int(sample), sample_ticks, ticks))
    return time.date().isoformat()


def as_arrow(rows: Sequence[Sequence[Any]], schema: pa.Schema, shown: str) -> pa.RecordBatch:
    """Convert database rows to Arrow.

    Raises:
        IngestionError: A value does not have its column's type, which SQLite allows.
    """
    columns = zip(*rows, strict=True)
    return pa.RecordBatch.from_arrays([_column(values, field, shown) for values, field in zip(columns, schema, strict=True)], schema=schema)


def _column(values: Sequence[Any], field: pa.Field, shown: str) -> pa.Array:
    if pa.types.is_string(field.type):
        values = [value if value is None or isinstance(value, str) else str(value) for value in values]
    elif pa.types.is_floating(field.type):
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise IngestionError(f"source {shown!r}: column {field.name!r} holds a value that is not {field.type}: {error}. Correct the rows.") from error
