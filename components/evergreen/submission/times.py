"""Times as KFP's API gives them: 0001-01-01 and 1970-01-01 stand for "not yet"."""

from __future__ import annotations

from datetime import datetime, timezone


def known_time(time: datetime | None) -> datetime | None:
    """Return a time of the API in UTC, or nothing where it stands for "not yet"."""
    if time is None or time.year <= 1970:
        return None
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return how long something took; nothing where it has not started or not ended."""
    first, last = known_time(start), known_time(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()
