"""Errors of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from evergreen.registry.record import LedgerRecord


class RegistryError(EvergreenError):
    """The registry does not contain what was requested."""


class LedgerError(EvergreenError):
    """The ledger cannot be read, or is not intact."""


class SupersededError(EvergreenError):
    """Another champion was promoted in the meantime."""

    @classmethod
    def by(cls, model_name: str, *, expected: str, found: str) -> SupersededError:
        """Return the error for an unexpected champion."""
        return cls(
            f"model {model_name!r}: superseded. The challenger was compared with version {expected}, but the champion is now version {found}. "
            "Nothing was promoted; run the pipeline again to compare with the new champion."
        )


class RolledBackError(EvergreenError):
    """A version or challenger that was rolled back cannot be promoted again."""

    @classmethod
    def by(cls, model_name: str, rollback: LedgerRecord) -> RolledBackError:
        """Return the error for a version or challenger rolled back by a record."""
        return cls(
            f"model {model_name!r}: version {rollback.version_before}, made from challenger {rollback.challenger_id or 'unknown'}, was rolled back by ledger "
            f"record {rollback.number} ({rollback.evidence.get('reason', 'no reason given')}) and cannot be promoted again. Nothing was promoted; train on "
            "different data or with a different recipe."
        )
