"""The half-open window of event time that is read from a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import iso_event_time

if TYPE_CHECKING:
    from collections.abc import Sequence

MICROSECONDS_PER_DAY = 86_400_000_000

ALIGNMENTS = (MICROSECONDS_PER_DAY, 3_600_000_000, 60_000_000, 1_000_000, 1)
"""Day, hour, minute, second and microsecond in microseconds, from coarse to fine."""


@dataclass(frozen=True)
class Window:
    """A half-open window [start, end) of event time, in microseconds since 1970, UTC."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"[{iso_event_time(self.start)}, {iso_event_time(self.end)})"


def check_lengths(*, window_days: int, label_delay_days: int) -> None:
    """Check that the window has a positive length and the label delay is not negative.

    Raises:
        IngestionError: ``window_days`` is below 1, or ``label_delay_days`` is negative.
    """
    if window_days < 1:
        raise IngestionError(f"window_days is {window_days}: expected at least 1 day. Set it to the length of the window in whole days.")
    if label_delay_days < 0:
        raise IngestionError(f"label_delay_days is {label_delay_days}: expected 0 or more. Set it to the number of days after which labels are complete.")


def end_after_newest(newest: int, alignment: int) -> int:
    """Return the first boundary after the newest event, so that the window includes that event.

    Args:
        newest: Newest event time in microseconds since 1970.
        alignment: Coarsest unit, in microseconds, of which all event times are multiples.

    Returns:
        Microseconds since 1970.
    """
    return (newest // alignment + 1) * alignment


def window_before(end: int, *, window_days: int, label_delay_days: int) -> Window:
    """Return the window of ``window_days`` that ends ``label_delay_days`` before ``end``.

    Raises:
        IngestionError: The window starts before the year 1.
    """
    last = end - label_delay_days * MICROSECONDS_PER_DAY
    window = Window(start=last - window_days * MICROSECONDS_PER_DAY, end=last)
    try:
        iso_event_time(window.start)
    except OverflowError as error:
        raise IngestionError(
            f"window_days {window_days} and label_delay_days {label_delay_days}: the window before {iso_event_time(end)} starts before the year 1. "
            "Use fewer days."
        ) from error
    return window


def continued(window: Window, earlier_ends: Sequence[int]) -> Window:
    """Return the window, starting at the newest earlier end before its own end."""
    before = [end for end in earlier_ends if end < window.end]
    return Window(max(before), window.end) if before else window
