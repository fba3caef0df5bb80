"""The error of deployment."""

from evergreen.errors import EvergreenError


class DeploymentError(EvergreenError):
    """A model cannot be deployed; the champion stays as it was."""
