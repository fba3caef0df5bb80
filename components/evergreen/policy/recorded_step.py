"""The decision step with its run record; imports little, so that the record exists before the decision logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def decide_and_record(*, decision_report: Any, ledger_uri: str, run_id: str, step_name: str, **options: Any) -> str:
    """Return ``retrain`` or ``keep`` and record the decision in the model's ledger.

    Args:
        decision_report: Output artifact for the report.
        ledger_uri: Folder or bucket for the ledger and run records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
        options: The other arguments of :func:`evergreen.policy.step.run_decision_step`.

    Raises:
        PolicyError: The policy, the mode or a verdict is invalid.
        LedgerError: The ledger cannot be read.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.policy.step import run_decision_step

        made = run_decision_step(**options, decision_report=decision_report, ledger_uri=ledger_uri, run_id=run_id, step_name=step_name)
        record.outcome = made.decision
        record.details = made.as_json()
        record.reports = {"decision_report": decision_report.uri}
        return made.decision
