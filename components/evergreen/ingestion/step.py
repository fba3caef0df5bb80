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
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.ingestion.window_end import WindowEnd
    from evergreen.ingestion.window_history import WindowHistory
    from evergreen.ingestion.windowing import IngestedWindow

EARLIER_ROWS = "earlier_rows"
"""Key of the dataset's metadata: a JSON list of row counts of earlier windows, for comparison by the data contract."""


def run_ingestion_step(
    *,
    dataset: Any,
    source_uri: str,
    timestamp_column: str,
    window_end: str,
    schedule_time: str = "none",
    window_days: int,
    label_delay_days: int,
    excluded_columns: str,
    model_name: str,
    catch_up: bool,
    decision: Any = None,
    ledger_uri: str,
    run_id: str,
    step_name: str,
) -> tuple[IngestedWindow, dict[str, Any]]:
    """Ingest a window, compare it with those that the model has seen, and record it.

    Args:
        dataset: Output artifact.
        source_uri: See :func:`evergreen.ingestion.sources.opening.open_source`.
        timestamp_column: Column with the event time.
        window_end: End of the window; see :func:`evergreen.ingestion.window_end.resolve_window_end`.
        schedule_time: When the run was scheduled, or ``none``.
        window_days: Length of the window; with ``catch_up``, only of the first window.
        label_delay_days: Days by which the window ends earlier.
        excluded_columns: Columns to omit.
        model_name: Model whose windows are recorded, or ``none``.
        catch_up: Whether the window starts where the newest earlier window ended.
        decision: Artifact of decide_retraining, which may request a longer window and contains the end of its own window.
        ledger_uri: Location of the window records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.

    Returns:
        The ingested window, and the evidence for the step's record.

    Raises:
        IngestionError: See :func:`evergreen.ingestion.windowing.ingest_window`; or ``catch_up`` without a model or a ledger.
    """
    history = _history(model_name, ledger_uri, step_name)
    if history is None and catch_up:
        raise IngestionError(
            f"catch_up needs a record of earlier windows, but model_name is {model_name!r} and ledger_uri is {ledger_uri!r}. Set both, or disable catch_up."
        )
    end = resolve_window_end(window_end, schedule_time=schedule_time, decision=decision)
    options: dict[str, Any] = {
        "source_uri": source_uri,
        "timestamp_column": timestamp_column,
        "window_end": end.text,
        "window_days": max(window_days, _days_since_change(decision, end.text, label_delay_days)),
        "label_delay_days": label_delay_days,
        "excluded_columns": excluded_columns,
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
        earlier_ends=[record.window.end for record in records] if catch_up else (),
    )
    describe_dataset(dataset, ingested.manifest)
    window: Window = ingested.window
    dataset.metadata[EARLIER_ROWS] = json.dumps(earlier_rows(window, records))
    details = {**ingested.details(), **_slot(end), **compare_windows(window, records, counted=counted, rows_counted=ingested.rows_counted)}
    details["seen_before"] = not history.add(ingested.manifest, run_id=run_id)
    return ingested, details


def _slot(end: WindowEnd) -> dict[str, str]:
    return {"schedule_slot": end.slot} if end.slot else {}


def _days_since_change(decision: Any, window_end: str, label_delay_days: int) -> int:
    """Return the whole days from the start time in a decision to the end of the window; 0 if the decision has none."""
    decided = read_json(decision.path) if is_present(decision) else {}
    since = decided.get("training_since")
    if not since:
        return 0
    # The newest event is not known yet, so use the end of the decision's window.
    end = parse_window_end(window_end) or parse_window_end(decided["window_end"])
    start = parse_window_end(since)
    return 0 if end is None or start is None else (end - start) // MICROSECONDS_PER_DAY - label_delay_days


def _history(model_name: str, ledger_uri: str, step_name: str) -> WindowHistory | None:
    if is_nothing(model_name) or is_nothing(ledger_uri):
        return None
    from evergreen.ingestion.window_history import WindowHistory
    from evergreen.storage.opening import open_store

    return WindowHistory(open_store(ledger_uri), model_name, step_name)
