"""The step that looks for drift, with its record; light, so that the record is there before the logic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.drift.request import DriftOutputs, DriftRequest
    from evergreen.runs.records import StepPlace


def detect_and_record(request: DriftRequest, outputs: DriftOutputs, place: StepPlace) -> str:
    """Compare the datasets and return the verdict.

    Args:
        request: What is compared, and how.
        outputs: Where the results go.
        place: Where the step reports.

    Raises:
        DriftError: The settings or the data are invalid.
    """
    with place.reported() as record:
        from evergreen.drift.step import run_drift_step

        result = run_drift_step(request, outputs)
        record.outcome = result.verdict
        record.details = result.to_json()
        record.reports = {"drift_report": outputs.drift_report.uri}
        return result.verdict
