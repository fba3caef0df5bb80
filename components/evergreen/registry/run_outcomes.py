"""Which records of a ledger end a run that left a degraded champion in service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import ArtifactError
from evergreen.registry.record import KEPT, PROMOTION, REJECTION, RETRAINING, WAITING
from evergreen.results.decision import Decision
from evergreen.results.repair import NOT_REPAIRED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.registry.record import LedgerRecord

ENDINGS = (PROMOTION, REJECTION, WAITING)
"""What follows a retraining that was carried out."""


def run_outcomes(records: Sequence[LedgerRecord]) -> dict[int, str]:
    """Return the outcome of the runs that left a degraded champion in service, by the number of the record that tells.

    That is the record of a kept champion or of a rejected challenger; for a retraining that was never carried out, its own, unless it is the newest
    record and may still be under way. A version that waits for approval is told by its own kind.

    Args:
        records: Records of the ledger, oldest first.
    """
    degraded = {record.run_id for record in records if record.kind == RETRAINING and _degraded(record)} - {"none"}
    ended = {record.run_id for record in records if record.kind in ENDINGS}
    promoted = {record.run_id for record in records if record.kind == PROMOTION}
    newest = max((record.number for record in records), default=0)
    found = {}
    for record in records:
        kept = record.kind == KEPT and _degraded(record)
        rejected = record.kind == REJECTION and record.run_id in degraded
        abandoned = record.kind == RETRAINING and record.run_id in degraded - ended and record.number != newest
        if (kept or rejected or abandoned) and record.run_id not in promoted - {"none"}:
            found[record.number] = NOT_REPAIRED
    return found


def _degraded(record: LedgerRecord) -> bool:
    try:
        return Decision.from_json(record.evidence, source=f"ledger record {record.number}").champion_degraded
    except ArtifactError:
        # The history of a model is shown even if a single record holds something else.
        return False
