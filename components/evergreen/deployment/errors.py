"""Errors of deployments."""

from evergreen.errors import EvergreenError


class DeploymentError(EvergreenError):
    """A model cannot be deployed; the champion is unchanged."""
