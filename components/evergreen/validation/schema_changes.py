"""Detects missing, renamed and new columns."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from evergreen.validation.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from evergreen.validation.contract import Contract
    from evergreen.validation.frame import LoadedData
    from evergreen.validation.rules import ColumnRules

SIMILAR_NAME = 0.6
SIMILAR_VALUES = 0.9
"""Share of a column's values that must meet another column's rules for it to be considered a renamed column."""


def missing_columns(data: LoadedData, contract: Contract, *, required: dict[str, str]) -> Iterator[Finding]:
    """Yield a finding for each missing column, with the new name if it was probably renamed.

    Args:
        data: The dataset.
        contract: The contract.
        required: Columns named by a parameter, with the parameter's name.
    """
    rows, there = len(data.frame), ", ".join(data.kinds)
    new = [name for name in data.kinds if name not in contract.columns and name not in required]
    for name, parameter in required.items():
        if name not in data.kinds:
            yield Finding(
                name,
                f"the {parameter} is missing",
                "fail",
                rows,
                rows,
                advice=_renamed(name, contract.columns.get(name), new, data) or f"Columns: {there}.",
            )
    for name, rules in contract.columns.items():
        if name in data.kinds or name in required:
            continue
        advice = _renamed(name, rules, new, data)
        if rules.required:
            yield Finding(name, "a required column is missing", "fail", rows, rows, advice=advice or f"Columns: {there}.")
        else:
            yield Finding(name, "an optional column is missing", "warn", rows, rows, advice=advice)


def unknown_columns(data: LoadedData, contract: Contract, *, keep: Sequence[str]) -> Iterator[Finding]:
    """Yield a warning for each column that is not in the contract."""
    rows = len(data.frame)
    for name in data.kinds:
        if name not in contract.columns and name not in keep:
            yield Finding(name, f"this column ({data.kinds[name]}) is not in the contract and is dropped", "warn", rows, rows)


def _renamed(name: str, rules: ColumnRules | None, new: Sequence[str], data: LoadedData) -> str:
    """Return a sentence with the probable new name of a column, or an empty text."""
    candidates = [(_likeness(name, candidate), candidate) for candidate in new]
    likely = [
        (likeness, candidate)
        for likeness, candidate in candidates
        if (likeness >= SIMILAR_NAME and _fits(rules, data, candidate) is not False) or _fits(rules, data, candidate)
    ]
    if not likely:
        return ""
    likeness, candidate = max(likely)
    cause = "the names are similar" if likeness >= SIMILAR_NAME else "its values meet the same rules"
    return f"It was probably renamed to {candidate!r} ({cause}). Rename it back at the source, or rename it in the contract."


def _likeness(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()


def _fits(rules: ColumnRules | None, data: LoadedData, candidate: str) -> bool | None:
    """Return whether a column's values meet another column's rules, or None if the rules cannot distinguish columns."""
    if rules is None:
        return None
    kind = data.kinds[candidate]
    if kind != rules.type and not (rules.type == "number" and kind == "integer"):
        return False
    known: pd.Series[Any] = data.frame[candidate].dropna()
    if known.empty:
        return None
    if rules.allowed_values is not None and rules.type == "string":
        return bool(known.isin(rules.allowed_values).mean() >= SIMILAR_VALUES)
    if rules.pattern is not None:
        return bool(known.astype(str).str.fullmatch(rules.pattern).mean() >= SIMILAR_VALUES)
    return None
