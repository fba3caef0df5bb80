"""A degraded champion on the terminal: a red block with the facts of the run page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from evergreen.reporting.repair_text import repair_lines
from evergreen.reporting.run_page import verdict_of

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.reporting.summary import RunSummary

INDENT = "  "


def print_repair(console: Console, summary: RunSummary) -> None:
    """Print why a degraded champion was not repaired; nothing if it is not degraded.

    Args:
        console: The console.
        summary: Summary of the run.
    """
    if summary.repair is None:
        return
    lines = [Padding(Text(line.strip()), (0, 0, 0, len(INDENT))) if line.startswith(INDENT) else _labelled(line) for line in repair_lines(summary.repair)]
    console.print(Panel(Group(Text(verdict_of(summary), style="bold red"), *lines), border_style="red", box=box.HEAVY))


def _labelled(line: str) -> Text:
    label, colon, rest = line.partition(":")
    return Text.assemble((f"{label}{colon}", "bold"), rest)
