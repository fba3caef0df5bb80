"""Findings of the checks, and the error that lists all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.validation.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.validation.rules import Severity

EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """A rule that the data violates.

    Attributes:
        column: The column; ``(rows)`` for the dataset as a whole.
        rule: Short description of the expectation.
        severity: ``fail``, ``warn``, or ``quarantine`` if the violating rows are quarantined.
        count: Number of violating rows.
        rows: Number of rows checked.
        examples: Up to three of the values as text.
        advice: What to do; empty if the rule makes it obvious.
        positions: Positions of the violating rows, if individual rows violate the rule.
    """

    column: str
    rule: str
    severity: Severity
    count: int
    rows: int
    examples: tuple[str, ...] = ()
    advice: str = ""
    positions: tuple[int, ...] = field(default=(), repr=False)

    @property
    def share(self) -> float:
        """Share of rows that violate the rule."""
        return self.count / self.rows if self.rows else 0.0

    def __str__(self) -> str:
        examples = f", such as {', '.join(self.examples)}" if self.examples else ""
        advice = f". {self.advice}" if self.advice else ""
        return f"column {self.column!r}: {self.rule}; {self.count:,} of {self.rows:,} rows{examples}{advice}"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return {
            "column": self.column,
            "rule": self.rule,
            "severity": self.severity,
            "count": self.count,
            "share": self.share,
            "examples": list(self.examples),
            "advice": self.advice,
        }


WHOLE_DATASET = "(rows)"


def examples_of(values: Sequence[Any]) -> tuple[str, ...]:
    """Return the first distinct values as text."""
    return tuple(dict.fromkeys(str(value) if not isinstance(value, str) else repr(value) for value in values[:1000]))[:EXAMPLES]


def broken(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that stop the run."""
    return [finding for finding in findings if finding.severity == "fail"]


def put_aside(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings whose rows are quarantined."""
    return [finding for finding in findings if finding.severity == "quarantine"]


def raise_if_broken(findings: Sequence[Finding], *, origin: str) -> None:
    """Raise one error that lists all violated rules.

    Args:
        findings: Findings of the checks.
        origin: Origin of the contract.

    Raises:
        ContractError: A finding has severity ``fail``.
    """
    failed = broken(findings)
    if failed:
        rules = "1 rule is" if len(failed) == 1 else f"{len(failed)} rules are"
        lines = [f"the data violates its contract ({origin}): {rules} violated; first: {failed[0]}", *(f"  - {finding}" for finding in failed)]
        raise ContractError("\n".join([*lines, "Correct the data at its source, or review the contract; the champion is unchanged."]))
