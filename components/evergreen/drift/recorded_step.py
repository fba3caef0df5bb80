"""The step that detects drift, with its record; light, so that the record is there before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def detect_and_record(*, drift_report: Any, ledger_uri: str, run_id: str, step_name: str, **options: Any) -> str:
    """Compare a window with the champion's reference and return the verdict.

    Args:
        drift_report: Output artifact of the page.
        ledger_uri: Folder or bucket of the run records, or ``none``.
        run_id: The pipeline run.
        step_name: The step.
        options: The other arguments of :func:`evergreen.drift.step.run_drift_step`.

    Raises:
        DriftError: The configuration or the data cannot be used.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.step import run_drift_step

        result = run_drift_step(**options, drift_report=drift_report)
        record.outcome = result.verdict
        record.details = result.as_json()
        record.reports = {"drift_report": drift_report.uri}
        return result.verdict
