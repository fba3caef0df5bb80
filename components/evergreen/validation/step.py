"""Logic of the validation component and its artifacts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet

from evergreen.data.artifacts import PRESENT, describe_dataset, inherited_metadata, manifest_of, stored_objects, write_absent
from evergreen.ingestion.fingerprint import fingerprint_table
from evergreen.ingestion.step import EARLIER_ROWS
from evergreen.secrets.redaction import mask
from evergreen.validation.checks import check_values
from evergreen.validation.contract_choice import choose_contract
from evergreen.validation.errors import ContractError
from evergreen.validation.findings import broken, raise_if_broken
from evergreen.validation.frame import load_data
from evergreen.validation.quarantine import refuse_if_nothing_is_left, split_rows
from evergreen.validation.report import validation_page
from evergreen.validation.structure import TASKS, check_structure
from evergreen.validation.volume_and_age import check_age, check_volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from evergreen.validation.contract import Contract
    from evergreen.validation.contract_choice import ChosenContract
    from evergreen.validation.findings import Finding
    from evergreen.validation.frame import LoadedData
    from evergreen.validation.request import ValidationOutputs, ValidationRequest


@dataclass(frozen=True)
class Validation:
    """The findings, and the contract that was checked."""

    findings: list[Finding]
    chosen: ChosenContract
    rows_quarantined: int = 0

    @property
    def outcome(self) -> str:
        """``passed``, ``passed with warnings`` or ``broken``."""
        if broken(self.findings):
            return "broken"
        return "passed with warnings" if self.findings else "passed"

    def details(self) -> dict[str, Any]:
        """Return the evidence for the step's record."""
        return {
            "status": self.chosen.contract.status,
            "origin": self.chosen.origin,
            "rows_quarantined": self.rows_quarantined,
            "findings": [finding.as_json() for finding in self.findings],
        }

    def raise_if_broken(self) -> None:
        """Raise ContractError with all violated rules, if there are any."""
        raise_if_broken(self.findings, origin=self.chosen.origin)


def run_validation_step(request: ValidationRequest, outputs: ValidationOutputs) -> Validation:
    """Check a dataset and write all outputs; ``validated_data`` is absent if the data violates its contract.

    Args:
        request: The dataset to check, and the contract.
        outputs: Output artifacts.

    Returns:
        The findings; violated rules do not raise an error yet.

    Raises:
        ContractError: The task is unknown, or the contract cannot be read.
        ArtifactError: The dataset cannot be read.
    """
    if request.task not in TASKS:
        raise ContractError(f"Unknown task {request.task!r}. Valid tasks: {', '.join(TASKS)}. Correct the parameter.")
    data, columns = load_data(request.dataset.path), (request.target_column, request.timestamp_column)
    chosen = choose_contract(request.contract, request.champion_contract, data, timestamp_column=request.timestamp_column)
    findings = check_data(
        data,
        chosen.contract,
        target_column=request.target_column,
        timestamp_column=request.timestamp_column,
        task=request.task,
        check_target_classes=request.check_target_classes,
        earlier_rows=json.loads(request.dataset.metadata.get(EARLIER_ROWS, "[]")),
    )
    _write_text(outputs.contract_used.path, chosen.text)
    outputs.contract_used.metadata.update({PRESENT: True, "status": chosen.contract.status, "origin": chosen.origin})
    page = validation_page(findings, chosen.contract, chosen.text, origin=chosen.origin, frame=data.frame)
    _write_text(outputs.validation_report.path, page)
    if broken(findings):
        write_absent(outputs.validated_data)
        write_absent(outputs.quarantined_data)
        return Validation(findings, chosen)
    going_on, aside = split_rows(data.table, findings)
    kept = [name for name in data.table.column_names if name in chosen.contract.columns or name in columns]
    _write_data(request.dataset, outputs.validated_data, going_on, kept, changed=bool(aside.num_rows))
    if aside.num_rows:
        write_table(outputs.quarantined_data.path, aside)
        outputs.quarantined_data.metadata.update({PRESENT: True, "rows": aside.num_rows})
    else:
        write_absent(outputs.quarantined_data)
    return Validation(findings, chosen, aside.num_rows)


def check_data(
    data: LoadedData,
    contract: Contract,
    *,
    target_column: str | None,
    timestamp_column: str | None,
    task: str = "auto",
    check_target_classes: bool = False,
    earlier_rows: Sequence[int] = (),
) -> list[Finding]:
    """Check a dataset against a contract.

    Args:
        data: The dataset.
        contract: The contract.
        target_column: Name of the label column; None if no label is expected, as in serving requests.
        timestamp_column: Name of the event time column; likewise.
        task: ``auto``, ``classification`` or ``regression``.
        check_target_classes: Whether the label must have values of at least two classes.
        earlier_rows: Row counts of earlier windows.

    Returns:
        All findings. Rules that would quarantine all rows fail.
    """
    findings, checkable = check_structure(
        data,
        contract,
        target_column=target_column,
        timestamp_column=timestamp_column,
        task=task,
        check_target_classes=check_target_classes,
    )
    findings += check_volume(len(data.frame), contract, earlier_rows)
    findings += check_age(data, contract, datetime.now(timezone.utc))
    nulls_allowed = () if check_target_classes or target_column is None else (target_column,)
    findings += check_values(data.frame, contract, columns=checkable, nulls_allowed=nulls_allowed)
    return refuse_if_nothing_is_left(findings, len(data.frame))


def write_table(path: str | Path, table: pa.Table, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write rows as one Parquet file that has only the given metadata."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata or None), path, compression="zstd")


def _write_data(dataset: Any, validated_data: Any, table: pa.Table, kept: list[str], *, changed: bool) -> None:
    taken = table.select(kept).replace_schema_metadata(None)
    manifest = manifest_of(dataset)
    write_table(validated_data.path, taken, metadata=stored_objects(manifest.objects) if manifest else None)
    validated_data.metadata.update({**inherited_metadata(dataset), PRESENT: True})
    if manifest is not None and (changed or len(kept) < len(table.column_names)):
        # Different rows or columns are different content, and a model's identity depends on the fingerprint.
        schema = {field.name: str(field.type) for field in taken.schema}
        describe_dataset(validated_data, replace(manifest, rows=taken.num_rows, schema=schema, fingerprint=fingerprint_table(taken)))


def _write_text(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(mask(text), encoding="utf-8")
