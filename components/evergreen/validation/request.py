"""Inputs and outputs of the validation step, as described by the component `validate_data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ValidationRequest:
    """The dataset to check, and the contract.

    Attributes:
        dataset: Dataset artifact.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        champion_contract: Artifact with the champion's contract, or None.
        contract: The ``contract`` parameter.
        task: ``auto``, ``classification`` or ``regression``.
        check_target_classes: Whether the label must have values of at least two classes.
    """

    dataset: Any
    target_column: str
    timestamp_column: str
    champion_contract: Any = None
    contract: str = "inferred"
    task: str = "auto"
    check_target_classes: bool = False


@dataclass(frozen=True)
class ValidationOutputs:
    """Output artifacts.

    Attributes:
        validated_data: The rows, without columns that are not in the contract.
        quarantined_data: The quarantined rows, with the reasons.
        contract_used: The contract that was checked.
        validation_report: The report.
    """

    validated_data: Any
    quarantined_data: Any
    contract_used: Any
    validation_report: Any
