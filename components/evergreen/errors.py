"""The root of every error that a user of Evergreen can cause and can mend."""


class EvergreenError(ValueError):
    """Something that was given to Evergreen cannot be used.

    Each room derives one error of its own from this class. The message names the thing, the value, what was
    expected, and what to do.
    """


class StateError(EvergreenError):
    """The place where runs, ledger or registry are kept cannot be used."""


class SecretError(EvergreenError):
    """A key of the secret that a step was given cannot be read."""


class ArtifactError(EvergreenError):
    """An artifact on disk is not what its name says."""


class MissingExtraError(EvergreenError):
    """An optional dependency is needed and not installed."""

    def __init__(self, purpose: str, *, extra: str) -> None:
        """Say what needs the extra and how to install it."""
        super().__init__(f"{purpose} needs an optional dependency. Install it with: pip install 'kfp-evergreen[{extra}]'")


class PolicyError(EvergreenError):
    """The policy, the mode, or the evidence of a decision cannot be used."""
