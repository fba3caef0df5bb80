"""Times as text: ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime, timezone


def iso_time(time: datetime) -> str:
    """Return a zone-aware time as ISO text in UTC, ending in ``Z``, with fractional seconds only when needed."""
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Parse an ISO time. Without a time zone in the text, the result is naive.

    Raises:
        ValueError: The text is not an ISO time.
    """
    # Python 3.10 cannot parse the "Z".
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
