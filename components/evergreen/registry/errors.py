"""The errors of the registry."""

from evergreen.errors import EvergreenError


class RegistryError(EvergreenError):
    """The registry does not hold what was asked for."""


class LedgerError(EvergreenError):
    """The ledger cannot be read, or is not what was written."""


class SupersededError(EvergreenError):
    """Somebody else promoted a champion meanwhile."""

    @classmethod
    def by(cls, model_name: str, *, expected: str, found: str) -> "SupersededError":
        """Return the error for a champion that is not the one that was expected."""
        return cls(
            f"model {model_name!r}: superseded. The challenger was compared with version {expected}, but the champion is version {found} now. "
            "Nothing was promoted; run the pipeline again to compare with the new champion."
        )
