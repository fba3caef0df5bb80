"""The validation step and its record. Imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.runs.records import StepPlace
    from evergreen.validation.request import ValidationOutputs, ValidationRequest


def validate_and_record(request: ValidationRequest, outputs: ValidationOutputs, place: StepPlace) -> str:
    """Check a dataset and return ``passed`` or ``passed with warnings``; the report and the contract are written before the step fails.

    Args:
        request: The dataset to check, and the contract.
        outputs: Output artifacts.
        place: Location of the step's record, the run and the step.

    Raises:
        ContractError: The data violates its contract, or the contract is invalid.
    """
    with place.reported() as record:
        from evergreen.validation.step import run_validation_step

        validation = run_validation_step(request, outputs)
        record.outcome = validation.outcome
        record.details = validation.details()
        record.reports = {"validation_report": outputs.validation_report.uri}
        validation.raise_if_broken()
        return validation.outcome
