"""Stores messages of a stream as JSON Lines files, one per partition, and counts unreadable messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from evergreen.ingestion.errors import NO_ROWS_REMEDY, IngestionError
from evergreen.ingestion.event_time import iso_event_time
from evergreen.ingestion.sources.base import FetchedFiles
from evergreen.ingestion.sources.files import describe_file
from evergreen.ingestion.window import MICROSECONDS_PER_DAY

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from evergreen.ingestion.source_file import SourceFile
    from evergreen.ingestion.sources.base import SourceRequest

UNREADABLE, EMPTY = "messages that are no JSON object", "messages without a value"


class PartitionWriter:
    """Writes the messages of one partition in order."""

    def __init__(self, target: Path, skipped: Counter[str]) -> None:
        """Open the file.

        Args:
            target: The file.
            skipped: Counter of skipped messages.
        """
        self._target, self._skipped, self._rows = target, skipped, 0

    def __enter__(self) -> Self:
        """Open the file."""
        self._file = self._target.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self._file.close()

    def add(self, value: bytes | None) -> None:
        """Write a message, or count it as skipped."""
        if not value:
            self._skipped[EMPTY] += 1
            return
        try:
            content = json.loads(value)
        except ValueError:
            content = None
        if not isinstance(content, dict) or not content:
            self._skipped[UNREADABLE] += 1
            return
        # Reserialized, because a message may contain line breaks.
        self._file.write(json.dumps(content, separators=(",", ":")).encode() + b"\n")
        self._rows += 1

    def as_source_file(self, *, uri: str, version: str) -> SourceFile | None:
        """Return the finished file, or None if it has no rows."""
        return describe_file(self._target, uri=uri, version=version) if self._rows else None


def arrivals_wanted(request: SourceRequest, end: int) -> int:
    """Return the earliest arrival time of messages that may belong to the request, in microseconds since 1970.

    An event arrives after it happens; clocks may differ by a day.

    Args:
        request: The request.
        end: The window's end, or the best estimate of it.
    """
    starts = [end - (request.window_days + request.label_delay_days) * MICROSECONDS_PER_DAY]
    # A window that follows another one starts at its end.
    starts += [max(earlier)] if (earlier := [before for before in request.earlier_ends if before < end]) else []
    if request.counted_window is not None:
        starts.append(request.counted_window.start)
    return max(min(starts) - MICROSECONDS_PER_DAY, 0)


def fetched_messages(
    files: list[SourceFile | None],
    skipped: Counter[str],
    shown: str,
    *,
    arrived_since: int | None = None,
    newest_arrival: int | None = None,
    request: SourceRequest | None = None,
) -> FetchedFiles:
    """Return the files that contain rows.

    Args:
        files: One file per partition; None for a partition without rows.
        skipped: Number of skipped messages by reason.
        shown: The source, for the error message.
        arrived_since: Arrival time before which nothing was read.
        newest_arrival: Arrival time of the newest message, for the error message; None if unknown.
        request: The request, for the error message.

    Raises:
        IngestionError: No file contains rows.
    """
    found = [file for file in files if file is not None]
    if not found:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items()) or "none at all"
        facts = [f"has no readable messages near the window{'' if request is None else request.bounds()} ({left_out})"]
        if arrived_since is not None:
            facts.append(f"messages that arrived before {iso_event_time(arrived_since)} were not read")
        if newest_arrival is not None:
            facts.append(f"the newest message arrived at {iso_event_time(newest_arrival)}")
        raise IngestionError(f"source {shown!r}: {'; '.join(facts)}. Expected one JSON object per message. {NO_ROWS_REMEDY}")
    return FetchedFiles(found, dict(skipped), arrived_since=arrived_since)


def parse_ranges(text: str, shown: str) -> dict[str, tuple[str, str]]:
    """Parse the first and last position of each partition from text such as ``0:17-99,1:0-3``.

    Raises:
        IngestionError: The text is not a list of ranges.
    """
    ranges = {}
    for part in text.split(","):
        partition, colon, positions = part.rpartition(":")
        first, dash, last = positions.partition("-")
        if not (colon and dash and first.isdigit() and last.isdigit() and int(first) <= int(last)):
            raise IngestionError(
                f"source {shown!r}: {part!r} is not a range of positions; expected PARTITION:FIRST-LAST, such as 0:17-99. Copy it from a manifest."
            )
        ranges[partition] = (first, last)
    return ranges
