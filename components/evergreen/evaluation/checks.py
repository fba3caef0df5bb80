"""The result of a gate check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """One requirement in addition to the comparison on the first metric.

    Attributes:
        name: What was checked.
        verdict: ``passed``, ``failed``, ``cannot tell``, or ``measured`` if no limit is set.
        sentence: The finding, with the numbers and the limit.
        details: The underlying numbers, as plain values.
    """

    name: str
    verdict: str
    sentence: str
    details: dict[str, Any] = field(default_factory=dict)


def gravest_first(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return checks, as plain values, with those that need action first."""
    gravity = {"failed": 0, "cannot tell": 1}
    return sorted(checks, key=lambda check: gravity.get(check["verdict"], len(gravity)))


def within(name: str, value: float, limit: float | None, *, what: str, unit: str = "", details: dict[str, Any] | None = None) -> Check:
    """Check a number against an upper limit; without a limit, it is only measured.

    Args:
        name: What is checked.
        value: The number.
        limit: Its upper limit.
        what: Name of the number, to start the sentence with.
        unit: Its unit.
        details: The underlying numbers.
    """
    measured = f"{what} is {value:.4g}{unit}"
    if limit is None:
        return Check(name, "measured", f"{measured}; no limit is set.", details or {})
    verdict = "passed" if value <= limit else "failed"
    return Check(name, verdict, f"{measured}, {'within' if verdict == 'passed' else 'above'} the limit of {limit:.4g}{unit}.", details or {})
