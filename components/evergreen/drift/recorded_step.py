"""The drift detection step and its record. Imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.drift.request import DriftOutputs, DriftRequest
    from evergreen.runs.records import StepPlace


def detect_and_record(request: DriftRequest, outputs: DriftOutputs, place: StepPlace) -> str:
    """Compare the datasets and return the verdict.

    Args:
        request: The datasets to compare, and the settings.
        outputs: Output artifacts.
        place: Location of the step's record, the run and the step.

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
