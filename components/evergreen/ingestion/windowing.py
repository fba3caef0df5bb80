"""Take the window of a source and write it as one Parquet file."""

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
from evergreen.ingestion.event_time import iso_time
from evergreen.ingestion.fingerprint import Fingerprint
from evergreen.ingestion.progress import reported_progress
from evergreen.ingestion.source_file import SourceFile
from evergreen.ingestion.sources.base import FetchedFiles, Source, SourceRequest, without_password
from evergreen.ingestion.sources.opening import open_source
from evergreen.ingestion.time_scan import EventTimes, TimeScan, scan_times
from evergreen.ingestion.whole_file import appearing_whole
from evergreen.ingestion.window import ALIGNMENTS, MICROSECONDS_PER_DAY, Window, check_lengths, continued, end_after_newest, window_before
from evergreen.ingestion.window_end import parse_window_end
from evergreen.ingestion.window_rows import rows_in_window
from evergreen.runs.records import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class IngestedWindow:
    """What was ingested.

    Attributes:
        window_end: The resolved end, before the label delay is taken off; ISO, UTC.
        window: The window that was taken.
        manifest: Where the rows came from.
        rows_without_time: Rows of the source whose event time is null; they are left out.
        rows_in_future: Rows whose event time is more than a day after now: ``latest`` does not follow them.
        rows_counted: Rows in the window that was to be counted beside.
        skipped: Entries of the source that were passed over, by reason.
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
    twice: once for event times (only that column, where the source is Parquet), once for the rows of the files and row groups that
    reach into the window. The same window of the same source gives the same bytes.

    Args:
        target: Where the file goes; it appears whole or not at all.
        source_uri: See :func:`evergreen.ingestion.sources.opening.open_source`.
        timestamp_column: The event time.
        window_end: See :func:`evergreen.ingestion.window_end.parse_window_end`.
        window_days: Length of the window.
        label_delay_days: Days after which labels are complete.
        excluded_columns: Columns to leave out, separated by commas, or ``none``.
        counted_window: Window of which the rows are only counted.
        earlier_ends: Ends of windows that were read before, in microseconds since 1970: the window starts at the newest one before its own end.

    Returns:
        The window's end and the manifest.

    Raises:
        IngestionError: A parameter, the source or its event times cannot be used, or the window holds no rows.
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
            # The newest events came long after they happened, so their neighbours may have come before what was read.
            seen = _look(source, replace(request, window_end=seen.end), shown, Path(folder))
        fetched, scan, end, window = seen.fetched, seen.scan, seen.end, seen.window
        whole = fetched.whole_range or Window(scan.times.oldest, scan.times.newest)
        written = _write_window(target, window, scan, request, _SourceLabel(shown, whole), when_complete=lambda: source.check_unchanged(fetched))
    manifest = DataManifest(
        source_uri=shown,
        objects=[_as_object(file) for file in written.files],
        window={"start": iso_time(window.start), "end": iso_time(window.end)},
        rows=written.rows,
        schema={field.name: str(field.type) for field in scan.schema},
        fingerprint=written.fingerprint,
        created=now(),
    )
    return IngestedWindow(
        window_end=iso_time(end),
        window=window,
        manifest=manifest,
        rows_without_time=scan.times.rows_without_time,
        rows_in_future=scan.times.rows_in_future,
        rows_counted=scan.times.rows_counted,
        skipped=fetched.skipped,
    )


@dataclass(frozen=True)
class _ScannedSource:
    """A source that was fetched and looked at."""

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
            f"source {source_uri!r}: all {times.rows_in_future:,} event times in {request.timestamp_column!r} lie more than a day in the future "
            f"(the oldest is {iso_time(times.oldest)}). Correct them, or give window_end as a time."
        )
    return end_after_newest(times.newest_possible, ALIGNMENTS[times.alignment])


def _as_object(file: SourceFile) -> dict[str, Any]:
    return {"uri": file.uri, "version": file.version, "bytes": file.size}


@dataclass(frozen=True)
class _SourceLabel:
    """A source as messages name it: its URI, and its oldest and newest event."""

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
    """Write the rows of a window; the file appears only after ``when_complete`` had nothing against it."""
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
                f"window {window}: holds no rows of {shown.uri!r}, whose newest event in {request.timestamp_column!r} is at {iso_time(shown.range.end)}: its "
                f"event times range from {iso_time(shown.range.start)} to {iso_time(shown.range.end)}. {NO_ROWS_REMEDY}"
            )
        writer.add_key_value_metadata(stored_objects([_as_object(file) for file in read.values()]))
        when_complete()
    return _WrittenWindow(rows, fingerprint.hexdigest(), list(read.values()))
