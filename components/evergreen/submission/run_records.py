"""What the steps of a run wrote into the ledger about themselves, where this machine can read it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evergreen.storage.uris import DECIDED_BY_MLFLOW, is_nothing

if TYPE_CHECKING:
    from evergreen.runs.records import StepRecord

PATIENCE_S = 20.0
"""Without credentials, clients of buckets look for them for minutes; whoever waits for a failed run's reason does not."""


@dataclass(frozen=True)
class RunRecords:
    """What the ledger says of a run.

    Attributes:
        place: Folder or bucket of the ledger; empty when the run has none.
        report: Where the run's report is, or is to be; empty without a ledger.
        steps: What each step wrote, in the order in which they started.
    """

    place: str = ""
    report: str = ""
    steps: list[StepRecord] = field(default_factory=list)


def read_run_records(ledger_uri: str, run_id: str, *, patience_s: float = PATIENCE_S) -> RunRecords:
    """Read what the ledger says of a run. This never fails: a ledger that this machine cannot read has no records here.

    Args:
        ledger_uri: The run's ``state_ledger_uri``.
        run_id: The run.
        patience_s: Longest time to wait for the store.
    """
    if is_nothing(ledger_uri):
        return RunRecords()
    # The records of runs lie in the store itself, whoever decides on the ledger's slots.
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
        except Exception:  # noqa: BLE001  # whatever keeps this machine from reading the ledger: the run's failure is what is to be told
            found.append(RunRecords(place=place, report=report))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(patience_s)
    return found[0] if found else RunRecords(place=place, report=f"{place}/runs/{run_id}.html")
