"""The error of the drift room."""

from evergreen.errors import EvergreenError


class DriftError(EvergreenError):
    """Two datasets cannot be compared, or the drift settings are invalid."""
