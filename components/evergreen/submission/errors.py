"""Errors of submitting pipelines to Kubeflow Pipelines."""

from evergreen.errors import EvergreenError


class SubmissionError(EvergreenError):
    """Kubeflow Pipelines cannot be reached, rejects a request, or does not have what was requested."""
