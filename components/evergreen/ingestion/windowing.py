"""Take the window of a source and write it as one Parquet file."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet

from evergreen.artifacts import DataManifest
from evergreen.ingestion.arrow_values import booleans_from, numbers_of, validity_of
from evergreen.ingestion.columns import parse_excluded_columns, plain_type
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import iso_time, normalise_event_time
from evergreen.ingestion.fingerprint import Fingerprint
from evergreen.ingestion.reading import BATCH_ROWS, Portion, read_rows
from evergreen.ingestion.sources import SourceFile, find_files
from evergreen.ingestion.time_scan import scan_times
from evergreen.ingestion.window import ALIGNMENTS, Window, check_lengths, end_after_newest, parse_window_end, window_before
from evergreen.run_log import now

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class IngestedWindow:
    """What was ingested.

    Attributes:
        window_end: The resolved end, before the label delay is taken off; ISO, UTC.
        manifest: Where the rows came from.
        rows_without_time: Rows of the source whose event time is null; they are left out.
    """

    window_end: str
    manifest: DataManifest
    rows_without_time: int

    def details(self) -> dict[str, object]:
        """Return the evidence for the step's record."""
        return {
            "rows": self.manifest.rows,
            "rows_without_time": self.rows_without_time,
            "files": len(self.manifest.objects),
            "window_start": self.manifest.window["start"],
            "window_end": self.manifest.window["end"],
            "fingerprint": self.manifest.fingerprint,
        }


def ingest_window(
    target: Path,
    *,
    source_uri: str,
    timestamp_column: str,
    window_end: str = "latest",
    window_days: int = 30,
    label_delay_days: int = 0,
    excluded_columns: str = "none",
) -> IngestedWindow:
    """Write the rows of a window to one Parquet file.

    The window is [end - label_delay_days - window_days, end - label_delay_days). The source is read in batches, at most
    twice: once for event times (only that column, where the source is Parquet), once for the rows of the files and row groups that
    reach into the window. The same window of the same source gives the same bytes.

    Args:
        target: Where the file goes; it appears whole or not at all.
        source_uri: File, folder or glob of Parquet or CSV files.
        timestamp_column: The event time.
        window_end: See :func:`evergreen.ingestion.window.parse_window_end`.
        window_days: Length of the window.
        label_delay_days: Days after which labels are complete.
        excluded_columns: Columns to leave out, separated by commas, or ``none``.

    Returns:
        The window's end and the manifest.

    Raises:
        IngestionError: A parameter, the source or its event times cannot be used, or the window holds no rows.
    """
    check_lengths(window_days=window_days, label_delay_days=label_delay_days)
    asked_end = parse_window_end(window_end)
    excluded = parse_excluded_columns(excluded_columns, timestamp_column=timestamp_column)
    scan = scan_times(find_files(source_uri), timestamp_column=timestamp_column, excluded=excluded, source_uri=source_uri)
    end = end_after_newest(scan.times.newest, ALIGNMENTS[scan.times.alignment]) if asked_end is None else asked_end
    window = window_before(end, window_days=window_days, label_delay_days=label_delay_days)

    fingerprint, rows, read = Fingerprint(scan.schema), 0, dict[str, SourceFile]()
    with _appearing_whole(target) as unfinished, pyarrow.parquet.ParquetWriter(unfinished, scan.schema, compression="zstd") as writer:
        for portion in (portion for portion, times in scan.portions if times.may_lie_in(window)):
            for batch in _rows_in(window, portion, scan.schema, timestamp_column):
                fingerprint.update(batch)
                writer.write_batch(batch)
                rows += batch.num_rows
                read[portion.file.uri] = portion.file
        if not rows:
            raise IngestionError(
                f"window {window}: holds no rows of {source_uri!r}, "
                f"whose event times in {timestamp_column!r} range from {iso_time(scan.times.oldest)} to {iso_time(scan.times.newest)}. "
                "Change window_end or window_days, or check that new data arrives."
            )
    manifest = DataManifest(
        source_uri=source_uri,
        objects=[{"uri": uri, "version": file.version, "bytes": file.size} for uri, file in read.items()],
        window={"start": iso_time(window.start), "end": iso_time(window.end)},
        rows=rows,
        schema={field.name: str(field.type) for field in scan.schema},
        fingerprint=fingerprint.hexdigest(),
        created=now(),
    )
    return IngestedWindow(window_end=iso_time(end), manifest=manifest, rows_without_time=scan.times.rows_without_time)


def _rows_in(window: Window, portion: Portion, schema: pa.Schema, timestamp_column: str) -> Iterator[pa.RecordBatch]:
    """Yield a portion's rows of the window in batches of about ``BATCH_ROWS``, so that few rows a batch do not make tiny row groups."""
    waiting: list[pa.RecordBatch] = []
    for batch in read_rows(portion, schema.names):
        times = normalise_event_time(batch.column(timestamp_column), column=timestamp_column, origin=str(portion.file.path))
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
            f"column {field.name!r} in source file {portion.file.path}: cannot be turned from {values.type} into {field.type}, "
            f"the type that all files share: {error}. Write the files with one type."
        ) from error


@contextmanager
def _appearing_whole(target: Path) -> Iterator[Path]:
    """Give a temporary path that becomes the target when all went well, and is removed when it did not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".unfinished-", dir=target.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
