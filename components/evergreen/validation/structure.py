"""Structural checks that precede checks of individual values: columns, types, and infinite or missing values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.validation.findings import Finding, examples_of
from evergreen.validation.schema_changes import missing_columns, unknown_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evergreen.validation.contract import Contract
    from evergreen.validation.frame import LoadedData
    from evergreen.validation.rules import ColumnRules

TASKS = ("auto", "classification", "regression")


def check_structure(
    data: LoadedData, contract: Contract, *, target_column: str | None, timestamp_column: str | None, task: str, check_target_classes: bool
) -> tuple[list[Finding], list[str]]:
    """Check columns and types.

    Args:
        data: The dataset.
        contract: The contract.
        target_column: Name of the label column; None if no label is expected.
        timestamp_column: Name of the event time column; likewise.
        task: ``auto``, ``classification`` or ``regression``.
        check_target_classes: Whether the label must have values of at least two classes. In a short window that is only monitored, a single class
            can be legitimate, and labels may arrive later.

    Returns:
        The findings, and the columns whose values can be checked further.
    """
    parameters = {"target_column": target_column, "timestamp_column": timestamp_column}
    required = {name: parameter for parameter, name in parameters.items() if name is not None}
    findings = list(missing_columns(data, contract, required=required))
    checkable = []
    for name, rules in contract.columns.items():
        if name not in data.frame.columns:
            continue
        wrong = (
            _wrong_type(data, name, rules) or _infinite(data, name) or _all_null(data, name, rules, exempt=name == target_column and not check_target_classes)
        )
        if wrong:
            findings.append(wrong)
        elif data.frame[name].notna().any():
            checkable.append(name)
    findings += unknown_columns(data, contract, keep=list(required))
    if check_target_classes and target_column is not None and target_column in data.frame.columns:
        findings += _single_class(data, target_column, task)
    return findings, checkable


def _wrong_type(data: LoadedData, name: str, rules: ColumnRules) -> Finding | None:
    values, kind, rows = data.frame[name], data.kinds[name], len(data.frame)
    known = values.dropna()
    if kind in (rules.type, "empty") or known.empty or (rules.type == "number" and kind == "integer"):
        return None
    expected = f"expected {rules.type} values, found {kind}"
    if rules.type == "integer" and kind == "number":
        fractions = known[(known % 1 != 0) & np.isfinite(known)]
        return Finding(name, "expected whole numbers", "fail", len(fractions), rows, examples_of(fractions.tolist())) if len(fractions) else None
    if kind == "string" and rules.type in ("number", "integer"):
        return _text_for_numbers(name, known, rows, rules.type)
    return Finding(name, expected, "fail", len(known), rows, examples_of(known.head(1000).tolist()))


def _text_for_numbers(name: str, known: pd.Series[Any], rows: int, expected: str) -> Finding:
    unreadable = known[pd.to_numeric(known, errors="coerce").isna()]
    if unreadable.empty:
        rule = f"expected {expected} values, found text that can be parsed as numbers"
        return Finding(name, rule, "fail", len(known), rows, examples_of(known.tolist()), "Write the column as numbers; text is not converted implicitly.")
    rule = f"expected {expected} values, found text that cannot be parsed as numbers"
    return Finding(name, rule, "fail", len(unreadable), rows, examples_of(unreadable.tolist()))


def _infinite(data: LoadedData, name: str) -> Finding | None:
    if data.kinds[name] != "number":
        return None
    infinite = np.isinf(data.frame[name].to_numpy(dtype=np.float64))
    count = int(infinite.sum())
    return Finding(name, "infinite values are not allowed", "fail", count, len(infinite), examples_of(data.frame[name][infinite].tolist())) if count else None


def _all_null(data: LoadedData, name: str, rules: ColumnRules, *, exempt: bool) -> Finding | None:
    rows = len(data.frame)
    if exempt or not rows or not rules.required or rules.maximum_null_share == 1.0 or data.frame[name].notna().any():
        return None
    return Finding(name, "the column has no values", "fail", rows, rows, advice="Omit it with excluded_columns, or fix its source.")


def _single_class(data: LoadedData, target_column: str, task: str) -> Iterator[Finding]:
    labels = data.frame[target_column].dropna()
    if len(labels.unique()) != 1:
        return
    looks_like_classes = data.kinds[target_column] in ("string", "boolean", "integer")
    if task == "classification" or (task == "auto" and looks_like_classes):
        rule = "the target has only one class; classification needs at least two"
        yield Finding(
            target_column, rule, "fail", len(labels), len(data.frame), examples_of(labels.head(1).tolist()), "Use a longer window, or check the labels."
        )
