"""Quarantines rows, each with a reason, so that the pipeline can continue with the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from evergreen.validation.findings import put_aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.validation.findings import Finding

REASON_COLUMN = "quarantine_reason"


def split_rows(table: pa.Table, findings: Sequence[Finding]) -> tuple[pa.Table, pa.Table]:
    """Split the rows into those that passed and those that are quarantined, with the column ``quarantine_reason``.

    Args:
        table: All rows.
        findings: The findings; those of severity ``quarantine`` contain the positions of their rows.
    """
    reasons: dict[int, list[str]] = {}
    for finding in put_aside(findings):
        for position in finding.positions:
            reasons.setdefault(position, []).append(f"{finding.column}: {finding.rule}")
    aside = np.zeros(table.num_rows, dtype=bool)
    aside[list(reasons)] = True
    taken = table.filter(pa.array(aside))
    texts = pa.array(["; ".join(reasons[position]) for position in sorted(reasons)], pa.string())
    return table.filter(pa.array(~aside)), taken.append_column(_free_name(table.column_names), texts)


def refuse_if_nothing_is_left(findings: Sequence[Finding], rows: int) -> list[Finding]:
    """Return the findings, turned into failures if together they would quarantine all rows."""
    aside = {position for finding in put_aside(findings) for position in finding.positions}
    if not aside or len(aside) < rows:
        return list(findings)
    return [replace(finding, severity="fail", advice="No rows would remain.") if finding.severity == "quarantine" else finding for finding in findings]


def _free_name(names: Sequence[str]) -> str:
    name = REASON_COLUMN
    while name in names:
        name += "_"
    return name
