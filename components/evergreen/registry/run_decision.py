"""The retraining decision of a run, which is part of the evidence for a promotion."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from evergreen.storage.uris import is_nothing

KEPT = ("decision", "rule", "reasons", "mode", "policy")


def decision_of_run(ledger_uri: str, run_id: str) -> dict[str, Any]:
    """Return what a run decided, by which rule and policy, and why; empty if no step decided.

    Args:
        ledger_uri: Folder or bucket for the run's records, or ``none``.
        run_id: ID of the run, or ``none``.

    Raises:
        StateError: The records cannot be read.
    """
    if is_nothing(ledger_uri) or is_nothing(run_id):
        return {}
    decided = (record.details for record in read_run(open_store(ledger_uri), run_id) if "decision" in record.details)
    return next(({name: details[name] for name in KEPT if name in details} for details in decided), {})
