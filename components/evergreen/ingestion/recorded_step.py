"""The ingestion step and its record. Imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def ingest_and_record(*, ledger_uri: str, run_id: str, step_name: str, **options: Any) -> str:
    """Ingest a window and return its end before the label delay is subtracted; ISO, UTC.

    Args:
        ledger_uri: Folder or bucket of the run records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
        options: The other arguments of :func:`evergreen.ingestion.step.run_ingestion_step`.

    Raises:
        IngestionError: A parameter, the source or its event times are invalid, or the window contains no rows.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.ingestion.step import run_ingestion_step

        ingested, details = run_ingestion_step(**options, ledger_uri=ledger_uri, run_id=run_id, step_name=step_name)
        record.outcome = f"{ingested.manifest.rows} rows until {ingested.window_end}"
        record.details = details
        return ingested.window_end
