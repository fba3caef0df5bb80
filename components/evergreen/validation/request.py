"""What a validating step is given and what it writes, as the component `validate_data` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ValidationRequest:
    """What is checked, against which contract.

    Attributes:
        dataset: Dataset artifact.
        target_column: The label.
        timestamp_column: The event time.
        champion_contract: Artifact with the champion's contract, or None.
        contract: The ``contract`` parameter.
        task: ``auto``, ``classification`` or ``regression``.
        check_target_classes: Whether the label must have values, of two classes at least.
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
        validated_data: The rows, without columns that the contract does not know.
        quarantined_data: The rows that are put aside, with the reason.
        contract_used: The contract.
        validation_report: The page.
    """

    validated_data: Any
    quarantined_data: Any
    contract_used: Any
    validation_report: Any
