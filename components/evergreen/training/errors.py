"""Errors of training."""

from evergreen.errors import EvergreenError


class TrainingError(EvergreenError):
    """The data, the recipe or the tracking server does not allow training a model."""
