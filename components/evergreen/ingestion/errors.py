"""The error of the ingestion room."""

from evergreen.errors import EvergreenError


class IngestionError(EvergreenError):
    """The source, the window that was asked for, or the event times cannot be used."""
