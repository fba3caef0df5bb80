"""The checks of single values, by pandera."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import Check, Column, DataFrameSchema

from evergreen.validation.contract import as_utc
from evergreen.validation.findings import Finding, examples_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.validation.contract import ColumnRules, Contract


def check_values(frame: pd.DataFrame, contract: Contract, *, columns: Sequence[str], nulls_allowed: Sequence[str] = ()) -> list[Finding]:
    """Check null shares, ranges and allowed values.

    Args:
        frame: The rows.
        contract: What they must look like.
        columns: Columns that have the right type; the others are passed over.
        nulls_allowed: Columns of which any share may be missing, such as labels that come later.

    Returns:
        One finding for each rule that rows break; as many as are tolerated make it a warning.
    """
    schema = DataFrameSchema({name: _column(contract.columns[name], nulls_allowed=name in nulls_allowed) for name in columns})
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.groupby(["column", "check"], sort=False)["failure_case"]
        return [_finding(frame, str(column), str(rule), values, contract.columns[str(column)]) for (column, rule), values in cases]
    return []


def _column(rules: ColumnRules, *, nulls_allowed: bool) -> Column:
    checks = []
    if rules.maximum_null_share is not None and not nulls_allowed:
        checks.append(_null_share_check(rules.maximum_null_share))
    if rules.minimum is not None:
        checks.append(Check.greater_than_or_equal_to(_bound(rules.minimum), error=f"at least {rules.minimum}"))
    if rules.maximum is not None:
        checks.append(Check.less_than_or_equal_to(_bound(rules.maximum), error=f"at most {rules.maximum}"))
    if rules.allowed_values is not None:
        checks.append(Check.isin(rules.allowed_values, error=_allowed(rules.allowed_values)))
    return Column(checks=checks, nullable=True)


def _null_share_check(limit: float) -> Check:
    def few_enough_nulls(values: pd.Series[Any]) -> bool:
        return float(values.isna().mean()) <= limit

    return Check(few_enough_nulls, ignore_na=False, error=_null_rule(limit))


def _null_rule(limit: float) -> str:
    return f"a share of at most {limit:g} missing"


def _allowed(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:10])
    return f"one of {shown}" + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def _bound(value: Any) -> Any:
    return pd.Timestamp(as_utc(value)) if isinstance(value, datetime) else value


def _finding(frame: pd.DataFrame, column: str, rule: str, values: pd.Series[Any], rules: ColumnRules) -> Finding:
    rows = len(frame)
    if rules.maximum_null_share is not None and rule == _null_rule(rules.maximum_null_share):
        return Finding(column, f"{rule} is expected", rules.severity, int(frame[column].isna().sum()), rows)
    # Rounded up: in a window of thirty rows, one per cent would otherwise not forgive a single outlier.
    tolerated = len(values) <= math.ceil(rules.tolerated_share * rows)
    return Finding(column, f"{rule} is expected", "warn" if tolerated else rules.severity, len(values), rows, examples_of(values.head(1000).tolist()))
