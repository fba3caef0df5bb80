"""The ingestion step and its record. Imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evergreen.ingestion.request import IngestionRequest
    from evergreen.runs.records import StepPlace


def ingest_and_record(request: IngestionRequest, dataset: Any, place: StepPlace) -> str:
    """Ingest a window and return its end before the label delay is subtracted; ISO, UTC.

    Args:
        request: The source and the window to read.
        dataset: Output artifact.
        place: Location of the step's record, the run and the step.

    Raises:
        IngestionError: A parameter, the source or its event times are invalid, or the window contains no rows.
    """
    with place.reported() as record:
        from evergreen.ingestion.step import run_ingestion_step

        ingested, details = run_ingestion_step(request, dataset, place)
        record.outcome = f"{ingested.manifest.rows} rows until {ingested.window_end}"
        record.details = details
        return ingested.window_end
