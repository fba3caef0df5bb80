"""Times as returned by the KFP API, where 0001-01-01 and 1970-01-01 mean "not yet"."""

from __future__ import annotations

from datetime import datetime, timezone


def known_time(time: datetime | None) -> datetime | None:
    """Return an API time in UTC, or None if it means "not yet"."""
    if time is None or time.year <= 1970:
        return None
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the duration in seconds; None if either time is missing."""
    first, last = known_time(start), known_time(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()
