"""The error of the policy room."""

from evergreen.errors import EvergreenError


class PolicyError(EvergreenError):
    """The policy, the mode, or the evidence of a decision cannot be used."""
