"""The interface of every kind of source, which provides local files with known versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.window import continued, window_before

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evergreen.ingestion.source_file import SourceFile
    from evergreen.ingestion.window import Window


@dataclass(frozen=True)
class SourceRequest:
    """A request to a source, so that sources that can select rows read no more than necessary.

    Attributes:
        timestamp_column: Column with the event time.
        excluded_columns: Columns that need not be read.
        window_end: Requested end before the label delay is subtracted, in microseconds since 1970; None for the newest event.
        window_days: Length of the window in days.
        label_delay_days: Days by which the window ends earlier.
        now: The current time in microseconds since 1970; an event more than a day later cannot have happened.
        counted_window: Another window whose rows are counted.
        earlier_ends: Ends of earlier windows; the window may start as early as the newest of them.
    """

    timestamp_column: str
    excluded_columns: Sequence[str]
    window_end: int | None
    window_days: int
    label_delay_days: int
    now: int
    counted_window: Window | None = None
    earlier_ends: Sequence[int] = ()

    def bounds(self) -> str:
        """Return the requested window for error messages, with a leading space; empty if it ends at the newest event."""
        if self.window_end is None:
            return ""
        window = window_before(self.window_end, window_days=self.window_days, label_delay_days=self.label_delay_days)
        return f" {continued(window, self.earlier_ends)}"


@dataclass(frozen=True)
class FetchedFiles:
    """Files with a source's rows.

    Attributes:
        files: The files in the order in which they are read.
        skipped: Number of skipped entries of each kind, such as unreadable messages.
        columns_left_out: Excluded columns that the files no longer contain.
        whole_range: Oldest and newest event time of the whole source, if the files contain only part of it.
        arrived_since: Arrival time in microseconds since 1970 before which nothing was read; None if that made no difference.
    """

    files: list[SourceFile]
    skipped: dict[str, int] = field(default_factory=dict)
    columns_left_out: Sequence[str] = ()
    whole_range: Window | None = None
    arrived_since: int | None = None


class Source(Protocol):
    """A source of rows."""

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:
        """Return the source's files, downloading remote data to the folder first.

        Raises:
            IngestionError: The source cannot be read.
        """

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Raise IngestionError if any of the files was replaced or removed since it was fetched."""


def missing_extra(source_uri: str, module: str, extra: str) -> IngestionError:
    """Return the error for a library that is not installed."""
    return IngestionError(
        f"source {source_uri!r}: needs the Python package {module}, which is not installed. Install it with: pip install 'kfp-evergreen[{extra}]'"
    )
