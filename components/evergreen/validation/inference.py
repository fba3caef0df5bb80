"""Infers an initial contract from data, marked as inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.validation.contract import UNREVIEWED, Contract
from evergreen.validation.errors import ContractError
from evergreen.validation.rules import ColumnRules

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.validation.frame import LoadedData

MAXIMUM_CATEGORIES = 100
SMALL_SAMPLE_ROWS = 200
TOLERATED_SHARE = 0.5
"""Tolerated share outside an inferred range. Gross outliers are normal in sensor data (a fifth of a year's readings in the demo's weather
data) and are only reported; if a column's unit or meaning changes, most of its rows are outside."""

NULL_SHARE_WIDENING = 0.1

RULE_OF_INFERENCE = (
    "Inferred from {rows:,} rows and not reviewed by a person. Review it, correct it, and set status to: reviewed",
    "Numeric ranges are the observed range widened by its full span on each side.",
    "Rows outside a range are reported; the range is violated if they are more than half.",
    "The share of missing values may be 0.1 higher than observed. Unseen text values are reported and pass.",
)


def infer_contract(data: LoadedData, *, timestamp_column: str | None) -> Contract:
    """Infer a contract from observed data.

    - Numbers and integers: the observed range [a, b] widened by its full span on each side, [a - (b - a), b + (b - a)];
      rows outside are reported, and the range is violated if they are more than half. A column with a single value v gets
      [v - max(|v|, 1), v + max(|v|, 1)].
    - Text with at most 100 distinct values: those values, as a warning only; new categories are reported and pass.
    - Missing values: the observed share plus 0.1. The event time may not be missing.
    - Times have no range because they advance. A column of a type that contracts do not support (lists, bytes) gets no rules.

    Args:
        data: The dataset.
        timestamp_column: Name of the event time column, if there is one.

    Returns:
        A contract with status ``inferred, unreviewed`` and ``minimum_rows`` 1.

    Raises:
        ContractError: No column has a type that contracts support.
    """
    columns = {}
    for name in data.frame.columns:
        rules = _infer_column(data.frame[name], data.kinds[name])
        if rules is not None:
            columns[str(name)] = rules.model_copy(update={"maximum_null_share": 0.0}) if name == timestamp_column else rules
    if not columns:
        raise ContractError("no contract can be inferred: the dataset has no column of numbers, text, booleans or times. Check the ingested data.")
    return Contract(status=UNREVIEWED, minimum_rows=1, columns=columns)


def inference_comments(rows: int) -> list[str]:
    """Return the comment lines at the top of an inferred contract."""
    lines = [line.format(rows=rows) for line in RULE_OF_INFERENCE]
    if rows < SMALL_SAMPLE_ROWS:
        lines.append(f"{rows} rows are a small sample (fewer than {SMALL_SAMPLE_ROWS}): ranges, categories and shares of missing values are rough estimates.")
    return lines


def _infer_column(values: pd.Series[Any], kind: str) -> ColumnRules | None:
    null_share = min(1.0, round(float(values.isna().mean()) + NULL_SHARE_WIDENING, 4)) if len(values) else 1.0
    if kind in ("number", "integer"):
        low, high = _widened_range(values, whole=kind == "integer")
        kind_of_number: Any = kind
        return ColumnRules(type=kind_of_number, maximum_null_share=null_share, minimum=low, maximum=high, tolerated_share=TOLERATED_SHARE)
    if kind in ("string", "empty"):
        categories = sorted(values.dropna().unique())
        few = 0 < len(categories) <= MAXIMUM_CATEGORIES
        return ColumnRules(
            type="string",
            maximum_null_share=null_share,
            allowed_values=[str(value) for value in categories] if few else None,
            severity="warn" if few else "fail",
        )
    if kind == "boolean":
        return ColumnRules(type="boolean", maximum_null_share=null_share)
    if kind == "timestamp":
        return ColumnRules(type="timestamp", maximum_null_share=null_share)
    return None


def _widened_range(values: pd.Series[Any], *, whole: bool) -> tuple[float | None, float | None]:
    known = values.dropna().to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None, None
    smallest, largest = float(known.min()), float(known.max())
    span = largest - smallest or max(abs(largest), 1.0)
    low, high = smallest - span, largest + span
    if not (np.isfinite(low) and np.isfinite(high)):
        return None, None
    return (int(low), int(high)) if whole else (float(f"{low:.6g}"), float(f"{high:.6g}"))
