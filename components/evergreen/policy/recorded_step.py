"""The step that decides, with its record; light, so that the record is there before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def decide_and_record(*, decision_report: Any, ledger_uri: str, run_id: str, step_name: str, **options: Any) -> str:
    """Decide and return ``retrain`` or ``keep``; the model's ledger gets either.

    Args:
        decision_report: Output artifact of the page.
        ledger_uri: Folder or bucket of ledger and run records, or ``none``.
        run_id: The pipeline run.
        step_name: The step.
        options: The other arguments of :func:`evergreen.policy.step.run_decision_step`.

    Raises:
        PolicyError: The policy, the mode or a verdict cannot be used.
        LedgerError: The ledger cannot be read.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.policy.step import run_decision_step

        made = run_decision_step(**options, decision_report=decision_report, ledger_uri=ledger_uri, run_id=run_id, step_name=step_name)
        record.outcome = made.decision
        record.details = made.as_json()
        record.reports = {"decision_report": decision_report.uri}
        return made.decision
