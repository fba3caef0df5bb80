"""Reads a window from a source and writes it as one Parquet file."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet

from evergreen.data.artifacts import DataManifest, stored_objects
from evergreen.ingestion.columns import parse_excluded_columns
from evergreen.ingestion.errors import NO_ROWS_REMEDY, IngestionError, NoRowsError
from evergreen.ingestion.event_time import iso_event_time
from evergreen.ingestion.fingerprint import Fingerprint
from evergreen.ingestion.progress import reported_progress
from evergreen.ingestion.source_file import SourceFile
from evergreen.ingestion.sources.base import FetchedFiles, Source, SourceRequest
from evergreen.ingestion.sources.opening import open_source
from evergreen.ingestion.time_scan import EventTimes, TimeScan, scan_times
from evergreen.ingestion.whole_file import appearing_whole
from evergreen.ingestion.window import ALIGNMENTS, MICROSECONDS_PER_DAY, Window, check_lengths, continued, end_after_newest, window_before
from evergreen.ingestion.window_end import parse_window_end
from evergreen.ingestion.window_rows import rows_in_window
from evergreen.runs.records import now
from evergreen.secrets.addresses import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class IngestedWindow:
    """An ingested window.

    Attributes:
        window_end: The resolved end before the label delay is subtracted; ISO, UTC.
        window: The window that was read.
        manifest: Origin of the rows.
        rows_without_time: Rows of the source whose event time is null; they are omitted.
        rows_in_future: Rows whose event time is more than a day in the future; ``latest`` ignores them.
        rows_counted: Rows in the window to be counted.
        skipped: Number of skipped entries of the source, by reason.
    """

    window_end: str
    window: Window
    manifest: DataManifest
    rows_without_time: int
    rows_in_future: int = 0
    rows_counted: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def details(self) -> dict[str, object]:
        """Return the evidence for the step's record."""
        return {
            "rows": self.manifest.rows,
            "rows_without_time": self.rows_without_time,
            "rows_in_future": self.rows_in_future,
            "skipped": self.skipped,
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
    counted_window: Window | None = None,
    earlier_ends: Sequence[int] = (),
) -> IngestedWindow:
    """Write the rows of a window to one Parquet file.

    The window is [end - label_delay_days - window_days, end - label_delay_days). The source is read in batches, at most
    twice: once for event times (only that column if the source is Parquet), and once for the rows of the files and row groups that
    overlap the window. The same window of the same source produces identical bytes.

    Args:
        target: Path of the output file, which is created atomically.
        source_uri: See :func:`evergreen.ingestion.sources.opening.open_source`.
        timestamp_column: Column with the event time.
        window_end: See :func:`evergreen.ingestion.window_end.parse_window_end`.
        window_days: Length of the window.
        label_delay_days: Days after which labels are complete.
        excluded_columns: Columns to omit, separated by commas, or ``none``.
        counted_window: Window whose rows are only counted.
        earlier_ends: Ends of earlier windows in microseconds since 1970; the window starts at the newest of them before its own end.

    Returns:
        The ingested window and its manifest.

    Raises:
        IngestionError: A parameter, the source or its event times are invalid, or the window contains no rows.
    """
    check_lengths(window_days=window_days, label_delay_days=label_delay_days)
    request = SourceRequest(
        timestamp_column=timestamp_column,
        excluded_columns=parse_excluded_columns(excluded_columns, timestamp_column=timestamp_column),
        window_end=parse_window_end(window_end),
        window_days=window_days,
        label_delay_days=label_delay_days,
        now=time.time_ns() // 1000,
        counted_window=counted_window,
        earlier_ends=earlier_ends,
    )
    source, shown = open_source(source_uri), without_password(source_uri)
    with tempfile.TemporaryDirectory(prefix="evergreen-source-") as folder:
        seen = _look(source, request, shown, Path(folder))
        if seen.fetched.arrived_since is not None and seen.window.start - MICROSECONDS_PER_DAY < seen.fetched.arrived_since:
            # The newest events arrived long after they happened, so events close to them in time may have arrived before the range that was read.
            seen = _look(source, replace(request, window_end=seen.end), shown, Path(folder))
        fetched, scan, end, window = seen.fetched, seen.scan, seen.end, seen.window
        whole = fetched.whole_range or Window(scan.times.oldest, scan.times.newest)
        written = _write_window(target, window, scan, request, _SourceLabel(shown, whole), when_complete=lambda: source.check_unchanged(fetched))
    manifest = DataManifest(
        source_uri=shown,
        objects=[_as_object(file) for file in written.files],
        window={"start": iso_event_time(window.start), "end": iso_event_time(window.end)},
        rows=written.rows,
        schema={field.name: str(field.type) for field in scan.schema},
        fingerprint=written.fingerprint,
        created=now(),
    )
    return IngestedWindow(
        window_end=iso_event_time(end),
        window=window,
        manifest=manifest,
        rows_without_time=scan.times.rows_without_time,
        rows_in_future=scan.times.rows_in_future,
        rows_counted=scan.times.rows_counted,
        skipped=fetched.skipped,
    )


@dataclass(frozen=True)
class _ScannedSource:
    """A source that was fetched and scanned."""

    fetched: FetchedFiles
    scan: TimeScan
    end: int
    window: Window


def _look(source: Source, request: SourceRequest, shown: str, folder: Path) -> _ScannedSource:
    fetched = source.fetch(request, folder)
    scan = scan_times(
        fetched.files,
        timestamp_column=request.timestamp_column,
        excluded=[name for name in request.excluded_columns if name not in fetched.columns_left_out],
        source_uri=shown,
        latest_possible=request.now + MICROSECONDS_PER_DAY,
        counted_window=request.counted_window,
    )
    end = _end_of(request, scan.times, shown)
    window = window_before(end, window_days=request.window_days, label_delay_days=request.label_delay_days)
    return _ScannedSource(fetched, scan, end, continued(window, request.earlier_ends))


def _end_of(request: SourceRequest, times: EventTimes, source_uri: str) -> int:
    if request.window_end is not None:
        return request.window_end
    if times.newest_possible < times.oldest:
        raise IngestionError(
            f"source {source_uri!r}: all {times.rows_in_future:,} event times in {request.timestamp_column!r} are more than a day in the future "
            f"(the oldest is {iso_event_time(times.oldest)}). Correct them, or set window_end to a time."
        )
    return end_after_newest(times.newest_possible, ALIGNMENTS[times.alignment])


def _as_object(file: SourceFile) -> dict[str, Any]:
    return {"uri": file.uri, "version": file.version, "bytes": file.size}


@dataclass(frozen=True)
class _SourceLabel:
    """A source for error messages: its URI, and its oldest and newest event."""

    uri: str
    range: Window


@dataclass(frozen=True)
class _WrittenWindow:
    rows: int
    fingerprint: str
    files: list[SourceFile]


def _write_window(
    target: Path, window: Window, scan: TimeScan, request: SourceRequest, shown: _SourceLabel, *, when_complete: Callable[[], None]
) -> _WrittenWindow:
    """Write the rows of a window; the file is created only if ``when_complete`` raises no error."""
    fingerprint, rows, read = Fingerprint(scan.schema), 0, dict[str, SourceFile]()
    portions = [portion for portion, times in scan.portions if times.may_lie_in(window)]
    with (
        appearing_whole(target) as unfinished,
        pyarrow.parquet.ParquetWriter(unfinished, scan.schema, compression="zstd") as writer,
        reported_progress("Reading the window", len(portions)) as advance,
    ):
        for portion in portions:
            for batch in rows_in_window(window, portion, scan.schema, request.timestamp_column):
                fingerprint.update(batch)
                writer.write_batch(batch)
                rows += batch.num_rows
                read[portion.file.uri] = portion.file
            advance(1)
        if not rows:
            raise NoRowsError(
                f"window {window}: contains no rows of {shown.uri!r}, whose newest event in {request.timestamp_column!r} is at "
                f"{iso_event_time(shown.range.end)}; its event times range from {iso_event_time(shown.range.start)} to "
                f"{iso_event_time(shown.range.end)}. {NO_ROWS_REMEDY}"
            )
        writer.add_key_value_metadata(stored_objects([_as_object(file) for file in read.values()]))
        when_complete()
    return _WrittenWindow(rows, fingerprint.hexdigest(), list(read.values()))
