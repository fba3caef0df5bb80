"""The decision step with its run record; imports little, so that the record exists before the decision logic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.policy.request import DecisionOutputs, DecisionRequest
    from evergreen.runs.records import StepPlace


def decide_and_record(request: DecisionRequest, outputs: DecisionOutputs, place: StepPlace) -> str:
    """Return ``retrain`` or ``keep`` and record the decision in the model's ledger.

    Args:
        request: The inputs of the decision.
        outputs: Output artifacts.
        place: Location of the step's record, the run and the step.

    Raises:
        PolicyError: The policy, the mode or a result is invalid.
        LedgerError: The ledger cannot be read.
    """
    with place.reported() as record:
        from evergreen.policy.step import run_decision_step

        made = run_decision_step(request, outputs, place)
        record.outcome = made.decision
        record.details = made.to_json()
        record.reports = {"decision_report": outputs.decision_report.uri}
        return made.decision
