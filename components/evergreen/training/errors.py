"""What a user can get wrong about training."""

from evergreen.errors import EvergreenError


class TrainingError(EvergreenError):
    """The data, the recipe or the tracking server does not allow a model to be trained."""
