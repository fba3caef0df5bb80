"""Logic of the ingestion component: its artifact and the model's window history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import describe_dataset, is_present, read_json
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.window import MICROSECONDS_PER_DAY, Window
from evergreen.ingestion.window_end import parse_window_end, resolve_window_end
from evergreen.ingestion.windowing import ingest_window
from evergreen.results.decision import Decision
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.ingestion.request import IngestionRequest
    from evergreen.ingestion.window_end import WindowEnd
    from evergreen.ingestion.window_history import WindowHistory
    from evergreen.ingestion.windowing import IngestedWindow
    from evergreen.runs.records import StepPlace

EARLIER_ROWS = "earlier_rows"
"""Key of the dataset's metadata: a JSON list of row counts of earlier windows, for comparison by the data contract."""


def run_ingestion_step(request: IngestionRequest, dataset: Any, place: StepPlace) -> tuple[IngestedWindow, dict[str, Any]]:
    """Ingest a window, compare it with those that the model has seen, and record it.

    Args:
        request: The source and the window to read.
        dataset: Output artifact.
        place: Location of the window records, the run and the step.

    Returns:
        The ingested window, and the evidence for the step's record.

    Raises:
        IngestionError: See :func:`evergreen.ingestion.windowing.ingest_window`; or ``catch_up`` without a model or a ledger.
    """
    history = _history(request.model_name, place)
    if history is None and request.catch_up:
        raise IngestionError(
            f"catch_up needs a record of earlier windows, but model_name is {request.model_name!r} and ledger_uri is {place.ledger_uri!r}. "
            "Set both, or disable catch_up."
        )
    end = resolve_window_end(request.window_end, schedule_time=request.schedule_time, decision=request.decision)
    options: dict[str, Any] = {
        "source_uri": request.source_uri,
        "timestamp_column": request.timestamp_column,
        "window_end": end.text,
        "window_days": max(request.window_days, _days_since_change(request.decision, end.text, request.label_delay_days)),
        "label_delay_days": request.label_delay_days,
        "excluded_columns": request.excluded_columns,
    }
    if history is None:
        ingested = ingest_window(Path(dataset.path), **options)
        describe_dataset(dataset, ingested.manifest)
        return ingested, {**ingested.details(), **_slot(end)}

    from evergreen.ingestion.window_history import compare_windows, earlier_rows, newest_until

    records = history.records()
    counted = newest_until(records, parse_window_end(end.text))
    ingested = ingest_window(
        Path(dataset.path),
        **options,
        counted_window=counted.window if counted else None,
        earlier_ends=[record.window.end for record in records] if request.catch_up else (),
    )
    describe_dataset(dataset, ingested.manifest)
    window: Window = ingested.window
    dataset.metadata[EARLIER_ROWS] = json.dumps(earlier_rows(window, records))
    details = {**ingested.details(), **_slot(end), **compare_windows(window, records, counted=counted, rows_counted=ingested.rows_counted)}
    details["seen_before"] = not history.add(ingested.manifest, run_id=place.run_id)
    return ingested, details


def _slot(end: WindowEnd) -> dict[str, str]:
    return {"schedule_slot": end.slot} if end.slot else {}


def _days_since_change(decision: Any, window_end: str, label_delay_days: int) -> int:
    """Return the whole days from the start time in a decision to the end of the window; 0 if the decision has none."""
    if not is_present(decision):
        return 0
    decided = Decision.from_json(read_json(decision.path), source=f"decision {decision.path}", error=IngestionError)
    if not decided.training_since:
        return 0
    # The newest event is not known yet, so use the end of the decision's window.
    end = parse_window_end(window_end) or parse_window_end(decided.window_end)
    start = parse_window_end(decided.training_since)
    return 0 if end is None or start is None else (end - start) // MICROSECONDS_PER_DAY - label_delay_days


def _history(model_name: str, place: StepPlace) -> WindowHistory | None:
    if is_nothing(model_name) or is_nothing(place.ledger_uri):
        return None
    from evergreen.ingestion.window_history import WindowHistory
    from evergreen.storage.opening import open_store

    return WindowHistory(open_store(place.ledger_uri), model_name, place.step_name)
