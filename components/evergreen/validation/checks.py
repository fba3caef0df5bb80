"""Checks of individual values, using pandera, and of cross-column rules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import Check, Column, DataFrameSchema

from evergreen.validation.expressions import parse_expression
from evergreen.validation.findings import Finding, examples_of
from evergreen.validation.rules import ColumnRules, as_utc, tolerated_or_default

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evergreen.validation.contract import Contract
    from evergreen.validation.rules import CrossColumnRule, RuleName, Severity


@dataclass(frozen=True)
class _Rule:
    name: RuleName
    text: str
    check: Check


def check_values(frame: pd.DataFrame, contract: Contract, *, columns: Sequence[str], nulls_allowed: Sequence[str] = ()) -> list[Finding]:
    """Check null shares, ranges, allowed values, patterns, uniqueness and cross-column rules.

    Args:
        frame: The rows, with positions as the index.
        contract: The data contract.
        columns: Columns of the correct type; other columns are skipped, as are cross-column rules that name them.
        nulls_allowed: Columns in which any share may be missing, such as labels that arrive later.

    Returns:
        One finding per violated rule. Within the tolerated share, the finding is a warning, or the rows are quarantined.
    """
    rules = {name: list(_rules(contract.columns[name], nulls_allowed=name in nulls_allowed)) for name in columns}
    schema = DataFrameSchema({name: Column(checks=[rule.check for rule in found], nullable=True) for name, found in rules.items()})
    findings = []
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.groupby(["column", "check"], sort=False)
        for (column, text), failed in cases:
            rule = next(rule for rule in rules[str(column)] if rule.text == text)
            findings.append(_finding(frame, str(column), rule, failed, contract.columns[str(column)]))
    known = set(columns)
    for cross in contract.rules or []:
        findings += _cross_column_finding(frame, cross, known)
    return findings


def _rules(rules: ColumnRules, *, nulls_allowed: bool) -> Iterator[_Rule]:
    if rules.maximum_null_share is not None and not nulls_allowed:
        text = f"a missing share of at most {rules.maximum_null_share:g}"
        yield _Rule("missing", text, _null_share_check(rules.maximum_null_share, text))
    if rules.minimum is not None:
        text = f"at least {rules.minimum}"
        yield _Rule("minimum", text, Check.greater_than_or_equal_to(_bound(rules.minimum), error=text))
    if rules.maximum is not None:
        text = f"at most {rules.maximum}"
        yield _Rule("maximum", text, Check.less_than_or_equal_to(_bound(rules.maximum), error=text))
    if rules.allowed_values is not None:
        text = _allowed(rules.allowed_values)
        yield _Rule("allowed_values", text, Check.isin(rules.allowed_values, error=text))
    if rules.pattern is not None:
        yield _Rule("pattern", f"text matching {rules.pattern}", _pattern_check(rules.pattern))
    if rules.unique:
        yield _Rule("unique", "unique values", Check(lambda values: ~values.duplicated(), error="unique values"))


def _null_share_check(limit: float, text: str) -> Check:
    def few_enough_nulls(values: pd.Series[Any]) -> bool:
        return float(values.isna().mean()) <= limit

    return Check(few_enough_nulls, ignore_na=False, error=text)


def _pattern_check(pattern: str) -> Check:
    def matches(values: pd.Series[Any]) -> pd.Series[bool]:
        return values.str.fullmatch(pattern)

    return Check(matches, error=f"text matching {pattern}")


def _allowed(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:10])
    return f"one of {shown}" + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def _bound(value: Any) -> Any:
    return pd.Timestamp(as_utc(value)) if isinstance(value, datetime) else value


def _finding(frame: pd.DataFrame, column: str, rule: _Rule, failed: pd.DataFrame, rules: ColumnRules) -> Finding:
    severity, rows = rules.severity_of(rule.name), len(frame)
    if rule.name == "missing":
        positions = np.flatnonzero(frame[column].isna())
        # The rule itself defines the share that may be missing; a tolerance beyond it applies only to quarantined rows.
        severity = _after_tolerance("quarantine", rules.tolerated("missing"), len(positions), rows) if severity == "quarantine" else severity
        return Finding(column, f"expected {rule.text}", severity, len(positions), rows, positions=tuple(positions.tolist()))
    severity = _after_tolerance(severity, rules.tolerated(rule.name), len(failed), rows)
    positions = failed["index"].to_numpy(dtype=np.int64)
    return Finding(
        column, f"expected {rule.text}", severity, len(failed), rows, examples_of(failed["failure_case"].head(1000).tolist()), "", tuple(positions.tolist())
    )


def _cross_column_finding(frame: pd.DataFrame, cross: CrossColumnRule, known: set[str]) -> list[Finding]:
    expression = parse_expression(cross.expression)
    if not set(expression.columns) <= known:
        missing = sorted(set(expression.columns) - known)
        rule = f"{cross.expression} cannot be checked without {', '.join(missing)}"
        return [
            Finding(", ".join(expression.columns), rule, "warn", 0, len(frame), advice="Use columns that exist in the contract and in the data, with values.")
        ]
    broken = np.flatnonzero(~expression.holds(frame).to_numpy(dtype=bool))
    if not len(broken):
        return []
    severity = _after_tolerance(cross.severity, tolerated_or_default(cross.tolerated_share, cross.severity), len(broken), len(frame))
    first = frame.iloc[broken[:1000]][list(expression.columns)]
    examples = examples_of([", ".join(f"{name}={value}" for name, value in row.items()) for row in first.to_dict("records")])
    return [Finding(", ".join(expression.columns), f"expected {cross.expression}", severity, len(broken), len(frame), examples, "", tuple(broken.tolist()))]


def _after_tolerance(severity: Severity, tolerated_share: float, count: int, rows: int) -> Severity:
    # Rounded up; otherwise one percent would not tolerate a single outlier in a window of thirty rows.
    tolerated = count <= math.ceil(tolerated_share * rows)
    if severity == "quarantine":
        return "quarantine" if tolerated else "fail"
    return "warn" if tolerated else severity
