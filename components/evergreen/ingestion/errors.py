"""The error of the ingestion room."""

from evergreen.errors import EvergreenError


class IngestionError(EvergreenError):
    """The source, the window that was asked for, or the event times cannot be used."""


class NoRowsError(IngestionError):
    """The source can be read, and has no rows in the window that was asked for."""
