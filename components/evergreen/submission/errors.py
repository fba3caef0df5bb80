"""What can go wrong when a pipeline is handed to Kubeflow Pipelines."""

from evergreen.errors import EvergreenError


class SubmissionError(EvergreenError):
    """Kubeflow Pipelines cannot be reached, refuses what it was given, or was asked for something that it does not have."""
