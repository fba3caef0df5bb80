"""What a user can get wrong about watching a champion."""

from evergreen.errors import EvergreenError


class PerformanceError(EvergreenError):
    """The settings, the baseline or the rows do not allow the champion to be scored."""
