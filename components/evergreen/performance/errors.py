"""Errors of performance monitoring."""

from evergreen.errors import EvergreenError


class PerformanceError(EvergreenError):
    """The settings, the baseline or the rows do not allow the champion to be scored."""
