"""The drift detection step and its record. Imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def detect_and_record(*, drift_report: Any, ledger_uri: str, run_id: str, step_name: str, **options: Any) -> str:
    """Compare a window with the champion's reference data and return the verdict.

    Args:
        drift_report: Output artifact of the report.
        ledger_uri: Folder or bucket of the run records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
        options: The other arguments of :func:`evergreen.drift.step.run_drift_step`.

    Raises:
        DriftError: The settings or the data are invalid.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.step import run_drift_step

        result = run_drift_step(**options, drift_report=drift_report)
        record.outcome = result.verdict
        record.details = result.as_json()
        record.reports = {"drift_report": drift_report.uri}
        return result.verdict
