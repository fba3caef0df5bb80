"""The error of the ingestion room."""

from evergreen.errors import EvergreenError


class IngestionError(EvergreenError):
    """The source, the window that was asked for, or the event times cannot be used."""


class NoRowsError(IngestionError):
    """The source can be read, and has no rows in the window that was asked for."""


NO_ROWS_REMEDY = (
    "Give 'latest' as data_window_end to look at the newest rows that are there, choose a longer window or another end, or check that new data arrives in time."
)
"""What to do about a window without rows."""
