"""What every kind of source gives: local files whose versions are known, whatever it is read from."""

from __future__ import annotations

import re
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
    """What is wanted of a source, so that one that can choose rows reads no more than it has to.

    Attributes:
        timestamp_column: The event time.
        excluded_columns: Columns that need not be read.
        window_end: End that was asked for, before the label delay is taken off, in microseconds since 1970; None for the newest event.
        window_days: Length of the window, in days.
        label_delay_days: Days by which the window ends earlier.
        now: The present time in microseconds since 1970; an event more than a day later did not happen.
        counted_window: Window of which the rows are counted beside.
        earlier_ends: Ends of windows that were read before; the window may start as early as the newest of them.
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
        """Return the window that is asked for, with a space before it, for messages; nothing when it ends at the newest event."""
        if self.window_end is None:
            return ""
        window = window_before(self.window_end, window_days=self.window_days, label_delay_days=self.label_delay_days)
        return f" {continued(window, self.earlier_ends)}"


@dataclass(frozen=True)
class FetchedFiles:
    """Files that hold a source's rows.

    Attributes:
        files: The files, in the order in which they are read.
        skipped: How many entries of each kind were passed over, such as messages that cannot be read.
        columns_left_out: Excluded columns that the files do not hold any more.
        whole_range: Oldest and newest event time of the whole source, where the files hold only part of it.
        arrived_since: Time of arrival, in microseconds since 1970, before which nothing was read; None where that made no difference.
    """

    files: list[SourceFile]
    skipped: dict[str, int] = field(default_factory=dict)
    columns_left_out: Sequence[str] = ()
    whole_range: Window | None = None
    arrived_since: int | None = None


class Source(Protocol):
    """One place that rows come from."""

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:
        """Return the source's files; what is not local is written to the folder first.

        Raises:
            IngestionError: The source cannot be read.
        """

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Raise IngestionError when one of the files was replaced or removed since they were fetched."""


def missing_extra(source_uri: str, module: str, extra: str) -> IngestionError:
    """Return the error for a library that is not installed."""
    return IngestionError(
        f"source {source_uri!r}: needs the Python package {module}, which is not installed. Install it with: pip install 'kfp-evergreen[{extra}]'"
    )


def without_password(source_uri: str) -> str:
    """Return a URI as it may stand in a manifest, a log or a message."""
    return re.sub(r"(://[^:/@]+):[^@/]*@", r"\1:***@", source_uri)
