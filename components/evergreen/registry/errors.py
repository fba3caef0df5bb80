"""The errors of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from evergreen.registry.record import LedgerRecord


class RegistryError(EvergreenError):
    """The registry does not hold what was asked for."""


class LedgerError(EvergreenError):
    """The ledger cannot be read, or is not what was written."""


class SupersededError(EvergreenError):
    """Somebody else promoted a champion meanwhile."""

    @classmethod
    def by(cls, model_name: str, *, expected: str, found: str) -> SupersededError:
        """Return the error for a champion that is not the one that was expected."""
        return cls(
            f"model {model_name!r}: superseded. The challenger was compared with version {expected}, but the champion is version {found} now. "
            "Nothing was promoted; run the pipeline again to compare with the new champion."
        )


class RolledBackError(EvergreenError):
    """What is to be promoted was rolled back once, and is not promoted again."""

    @classmethod
    def by(cls, model_name: str, rollback: LedgerRecord) -> RolledBackError:
        """Return the error for a version or challenger that a record rolled back."""
        return cls(
            f"model {model_name!r}: version {rollback.version_before}, made from challenger {rollback.challenger_id or 'unknown'}, was rolled back by ledger "
            f"record {rollback.number} ({rollback.evidence.get('reason', 'no reason given')}) and is not promoted again. Nothing was promoted; train on other "
            "data or with another recipe."
        )
