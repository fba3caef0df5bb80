"""What the component does with its artifacts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet

from evergreen.artifacts import PRESENT, describe_dataset, manifest_of, write_absent
from evergreen.ingestion.fingerprint import fingerprint_table
from evergreen.validation.checks import check_values
from evergreen.validation.contract_choice import choose_contract
from evergreen.validation.errors import ContractError
from evergreen.validation.findings import broken, raise_if_broken
from evergreen.validation.frame import load_data
from evergreen.validation.report import validation_page
from evergreen.validation.structure import TASKS, check_structure

if TYPE_CHECKING:
    import pyarrow as pa

    from evergreen.validation.contract_choice import ChosenContract
    from evergreen.validation.findings import Finding


@dataclass(frozen=True)
class Validation:
    """What was found, against which contract."""

    findings: list[Finding]
    chosen: ChosenContract

    @property
    def outcome(self) -> str:
        """``passed``, ``passed with warnings`` or ``broken``."""
        if broken(self.findings):
            return "broken"
        return "passed with warnings" if self.findings else "passed"

    def details(self) -> dict[str, Any]:
        """Return the evidence for the step's record."""
        return {"status": self.chosen.contract.status, "origin": self.chosen.origin, "findings": [finding.as_json() for finding in self.findings]}

    def raise_if_broken(self) -> None:
        """Raise ContractError, with every broken rule, if there is one."""
        raise_if_broken(self.findings, origin=self.chosen.origin)


def run_validation_step(
    *,
    dataset: Any,
    validated_data: Any,
    contract_used: Any,
    validation_report: Any,
    target_column: str,
    timestamp_column: str,
    champion_contract: Any,
    contract: str,
    task: str,
    check_target_classes: bool,
) -> Validation:
    """Check a dataset and write every output; data that breaks its contract leaves ``validated_data`` absent.

    Args:
        dataset: Dataset artifact.
        validated_data: Output artifact of the rows, without columns that the contract does not know.
        contract_used: Output artifact of the contract.
        validation_report: Output artifact of the page.
        target_column: The label.
        timestamp_column: The event time.
        champion_contract: Artifact with the champion's contract, or None.
        contract: The ``contract`` parameter.
        task: ``auto``, ``classification`` or ``regression``.
        check_target_classes: Whether the label must have values, of two classes at least.

    Returns:
        The findings; nothing is raised for broken rules yet.

    Raises:
        ContractError: The task is unknown, or the contract cannot be read.
        ArtifactError: The dataset cannot be read.
    """
    if task not in TASKS:
        raise ContractError(f"task {task!r}: expected one of {', '.join(TASKS)}. Correct the parameter.")
    data = load_data(dataset.path)
    chosen = choose_contract(contract, champion_contract, data, timestamp_column=timestamp_column)
    findings, checkable = check_structure(
        data,
        chosen.contract,
        target_column=target_column,
        timestamp_column=timestamp_column,
        task=task,
        check_target_classes=check_target_classes,
    )
    findings += check_values(data.frame, chosen.contract, columns=checkable, nulls_allowed=() if check_target_classes else (target_column,))
    validation = Validation(findings, chosen)
    _write_text(contract_used.path, chosen.text)
    contract_used.metadata.update({PRESENT: True, "status": chosen.contract.status, "origin": chosen.origin})
    _write_text(validation_report.path, validation_page(findings, chosen.contract, chosen.text, origin=chosen.origin, rows=len(data.frame)))
    if broken(findings):
        write_absent(validated_data)
    else:
        kept = [name for name in data.table.column_names if name in chosen.contract.columns or name in (target_column, timestamp_column)]
        _write_data(dataset, validated_data, data.table, kept)
    return validation


def _write_data(dataset: Any, validated_data: Any, table: pa.Table, kept: list[str]) -> None:
    taken = table.select(kept).replace_schema_metadata(None)
    Path(validated_data.path).parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(taken, validated_data.path, compression="zstd")
    validated_data.metadata.update({**dataset.metadata, PRESENT: True})
    manifest = manifest_of(dataset)
    if manifest is not None and len(kept) < len(table.column_names):
        # Other columns are other content: a model's identity hangs on the fingerprint.
        schema = {field.name: str(field.type) for field in taken.schema}
        describe_dataset(validated_data, replace(manifest, schema=schema, fingerprint=fingerprint_table(taken)))


def _write_text(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
