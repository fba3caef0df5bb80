"""Reads the rows of a window with the columns and types of the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from evergreen.data.arrow_values import booleans_from, numbers_of, validity_of
from evergreen.ingestion.columns import plain_type
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import normalise_event_time
from evergreen.ingestion.reading import BATCH_ROWS, Portion, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evergreen.ingestion.window import Window


def rows_in_window(window: Window, portion: Portion, schema: pa.Schema, timestamp_column: str) -> Iterator[pa.RecordBatch]:
    """Yield a portion's rows of the window in batches of about ``BATCH_ROWS``, to avoid tiny row groups."""
    waiting: list[pa.RecordBatch] = []
    for batch in read_rows(portion, schema.names):
        times = normalise_event_time(batch.column(timestamp_column), column=timestamp_column, origin=portion.file.uri)
        ticks = numbers_of(times.cast(pa.int64()))
        inside = booleans_from(validity_of(times) & (ticks >= window.start) & (ticks < window.end))
        kept = _conformed(batch, times, schema, portion, timestamp_column).filter(inside)
        if kept.num_rows:
            waiting.append(kept)
        if sum(part.num_rows for part in waiting) >= BATCH_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _conformed(batch: pa.RecordBatch, times: pa.Array, schema: pa.Schema, portion: Portion, timestamp_column: str) -> pa.RecordBatch:
    """Return rows with the columns and types of the dataset."""
    arrays = []
    for field in schema:
        position = batch.schema.get_field_index(field.name)
        if field.name == timestamp_column:
            arrays.append(times)
        elif position < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
        else:
            arrays.append(_cast(batch.column(position), field, portion))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(values: pa.Array, field: pa.Field, portion: Portion) -> pa.Array:
    try:
        return values.cast(plain_type(values.type)).cast(field.type)
    except pa.ArrowException as error:
        raise IngestionError(
            f"column {field.name!r} in source file {portion.file.uri}: cannot be converted from {values.type} to {field.type}, "
            f"the common type of all files: {error}. Write the files with one type."
        ) from error
