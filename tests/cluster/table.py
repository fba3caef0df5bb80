"""The table that the suite prints at its end: what was tried, what came of it, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.runs import Run


@dataclass
class Row:
    """One thing that was tried.

    Attributes:
        name: What, in words.
        result: ``ok``, ``FAILED`` or ``not run``.
        seconds: From the run's start to its end, or of the test where it has no run.
        pods: Of the run; nothing where it has none.
        node_bytes: Of the run's Workflow.
        note: What else is to be known: why it failed or was not run.
    """

    name: str
    result: str = "not run"
    seconds: float | None = None
    pods: int | None = None
    node_bytes: int | None = None
    note: str = ""


class Case:
    """What one test tries, for the table."""

    def __init__(self, row: Row) -> None:
        """Take the line that the test fills."""
        self._row = row

    def took(self, run: Run) -> Run:
        """Put what a run cost into the table, and return the run."""
        self._row.seconds = run.seconds
        self._row.pods, self._row.node_bytes = run.ended_workflow.pods, run.ended_workflow.node_bytes
        return run

    def note(self, text: str) -> None:
        """Say something beside the figures."""
        self._row.note = text


def lines(rows: Iterable[Row]) -> list[str]:
    """Return the table, a line each."""
    head = f"{'what was tried':<58} {'result':<8} {'seconds':>8} {'pods':>5} {'node bytes':>11}"
    return [head, "-" * len(head), *map(_line, rows)]


def as_json(rows: Iterable[Row]) -> str:
    """Return the table for a program."""
    return json.dumps([asdict(row) for row in rows], indent=2)


def _line(row: Row) -> str:
    seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
    pods = "" if row.pods is None else str(row.pods)
    node_bytes = "" if row.node_bytes is None else f"{row.node_bytes:,}"
    return f"{row.name:<58} {row.result:<8} {seconds:>8} {pods:>5} {node_bytes:>11}  {row.note}".rstrip()
