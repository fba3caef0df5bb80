"""The records that a run's steps wrote to the ledger, if this machine can read it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evergreen.storage.uris import DECIDED_BY_MLFLOW, is_nothing

if TYPE_CHECKING:
    from evergreen.runs.records import StepRecord

PATIENCE_S = 20.0
"""Without credentials, bucket clients search for them for minutes, too long for a user waiting to see why a run failed."""


@dataclass(frozen=True)
class RunRecords:
    """The ledger's records of a run.

    Attributes:
        place: Folder or bucket of the ledger; empty when the run has none.
        report: Location of the run's report, even if not written yet; empty without a ledger.
        steps: The record of each step, in the order in which they started.
    """

    place: str = ""
    report: str = ""
    steps: list[StepRecord] = field(default_factory=list)


def read_run_records(ledger_uri: str, run_id: str, *, patience_s: float = PATIENCE_S) -> RunRecords:
    """Read a run's records from the ledger. Never fails: a ledger that this machine cannot read yields no records.

    Args:
        ledger_uri: The run's ``state_ledger_uri``.
        run_id: ID of the run.
        patience_s: Maximum seconds to wait for the store.
    """
    if is_nothing(ledger_uri):
        return RunRecords()
    # Run records are in the store itself, even if MLflow decides on the ledger's slots.
    place = ledger_uri.removeprefix(DECIDED_BY_MLFLOW).rstrip("/")
    found: list[RunRecords] = []

    def read() -> None:
        from evergreen.reporting.run_records import read_records
        from evergreen.storage.opening import open_store

        report = f"{place}/runs/{run_id}.html"
        try:
            store = open_store(place)
            steps, _damaged = read_records(store, run_id, without_step="")
            found.append(RunRecords(place=place, report=report, steps=steps))
        except Exception:  # noqa: BLE001  # no problem with reading the ledger may hide why the run failed
            found.append(RunRecords(place=place, report=report))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(patience_s)
    return found[0] if found else RunRecords(place=place, report=f"{place}/runs/{run_id}.html")
