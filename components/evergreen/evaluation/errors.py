"""Errors of a comparison."""

from evergreen.errors import EvergreenError


class EvaluationError(EvergreenError):
    """The gate's settings, the challenger or the holdout do not allow a comparison."""
