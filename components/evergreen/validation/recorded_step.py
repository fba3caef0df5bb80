"""The validation step and its record. Imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def validate_and_record(*, validation_report: Any, ledger_uri: str, run_id: str, step_name: str, **options: Any) -> str:
    """Check a dataset and return ``passed`` or ``passed with warnings``; the report and the contract are written before the step fails.

    Args:
        validation_report: Output artifact of the report.
        ledger_uri: Folder or bucket of the run records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
        options: The other arguments of :func:`evergreen.validation.step.run_validation_step`.

    Raises:
        ContractError: The data violates its contract, or the contract is invalid.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.validation.step import run_validation_step

        validation = run_validation_step(**options, validation_report=validation_report)
        record.outcome = validation.outcome
        record.details = validation.details()
        record.reports = {"validation_report": validation_report.uri}
        validation.raise_if_broken()
        return validation.outcome
