"""Reads the records of a run's steps, even if some of them are damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evergreen.runs.records import StepRecord, checked_id

if TYPE_CHECKING:
    from evergreen.storage.base import ObjectStore

_FIELDS = {"step_name": str, "state": str, "started_at": str, "outcome": str, "error": str, "details": dict, "reports": dict}


def read_records(store: ObjectStore, run_id: str, *, without_step: str) -> tuple[list[StepRecord], list[str]]:
    """Read the records of a run's steps; an unreadable record does not hide the others.

    Unlike :func:`evergreen.runs.records.read_run`, this never fails because of a record's content: the other records are
    needed most in the report of a failed run.

    Args:
        store: The ledger's store.
        run_id: ID of the run.
        without_step: Name of the calling step, whose own record is left out.

    Returns:
        The records in the order in which the steps started, and a sentence on each unreadable record.
    """
    records, problems = [], []
    for name in store.names(f"runs/{checked_id(run_id)}/"):
        content = store.read(name)
        if content is None or not name.endswith(".json"):
            continue
        try:
            record = _record(json.loads(content))
        except (ValueError, TypeError) as error:
            problems.append(f"The record {name} cannot be read: {error}.")
            continue
        if record.step_name != without_step:
            records.append(record)
    return sorted(records, key=lambda record: record.started_at), problems


def _record(content: Any) -> StepRecord:
    if not isinstance(content, dict):
        raise TypeError(f"expected a JSON object, got {type(content).__name__}")
    for name, kind in _FIELDS.items():
        if name in content and not isinstance(content[name], kind):
            raise TypeError(f"{name} is {content[name]!r}, expected {kind.__name__}")
    return StepRecord.from_json(content)
