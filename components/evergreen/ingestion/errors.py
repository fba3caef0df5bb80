"""The error of the ingestion room."""

from evergreen.errors import EvergreenError


class IngestionError(EvergreenError):
    """The source, the requested window or the event times are unusable."""


class NoRowsError(IngestionError):
    """The source is readable, but has no rows in the requested window."""


NO_ROWS_REMEDY = (
    "Set data_window_end to 'latest' to use the newest rows available, choose a longer window or another end, or check that new data arrives in time."
)
"""What to do about a window without rows."""
