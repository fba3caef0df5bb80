"""The rollback target: the previous champion that a rollback returns to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.registry.record import NO_CHAMPION, ROLLBACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evergreen.registry.record import LedgerRecord


def last_good(records: Iterable[LedgerRecord], champion: str) -> str | None:
    """Return the newest previous champion that was not rolled back, or None.

    Args:
        records: All records of a ledger, newest first.
        champion: The current champion, which is excluded.
    """
    known = list(records)
    taken_back = {record.version_before for record in known if record.kind == ROLLBACK} | {champion, NO_CHAMPION}
    former = (record.version_before for record in known if record.changed_champion())
    return next((version for version in former if version not in taken_back), None)
