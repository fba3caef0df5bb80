"""Base classes of the errors that a user can cause and fix."""


class EvergreenError(ValueError):
    """An input to Evergreen is invalid.

    Each room derives its own error from this class. The message names the input, its value, what was expected, and
    what to do.
    """


class StateError(EvergreenError):
    """The storage of runs, the ledger or the registry is unusable."""


class SecretError(EvergreenError):
    """A key of the secret passed to a step cannot be read."""


class ArtifactError(EvergreenError):
    """An artifact on disk does not hold what its name promises."""


class MissingExtraError(EvergreenError):
    """A required optional dependency is not installed."""

    def __init__(self, purpose: str, *, extra: str) -> None:
        """State what needs the extra and how to install it."""
        super().__init__(f"{purpose} needs an optional dependency. Install it with: pip install 'kfp-evergreen[{extra}]'")


class PolicyError(EvergreenError):
    """The policy, the mode or the evidence for a decision is invalid."""
