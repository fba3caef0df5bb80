"""The error of the drift room."""

from evergreen.errors import EvergreenError


class DriftError(EvergreenError):
    """The two datasets cannot be compared, or the drift configuration cannot be used."""
