"""How runs and schedules on the server look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.submission.runs import StepState
    from evergreen.submission.schedules import Schedule, Wanted

MARKS = {"SUCCEEDED": "[green]✓[/]", "FAILED": "[red]✗[/]", "CANCELED": "[red]✗[/]", "SKIPPED": "[dim]-[/]"}


class LiveStates:
    """Prints a line for each change of a step's state."""

    def __init__(self, console: Console) -> None:
        """Start with nothing printed."""
        self._console = console
        self._seen: dict[str, str] = {}

    def show(self, steps: list[StepState]) -> None:
        """Print what has changed since the last call."""
        for step in steps:
            if self._seen.get(step.task_id) != step.state:
                self._seen[step.task_id] = step.state
                seconds = "" if step.seconds is None else f"{step.seconds:7.1f} s"
                mark = MARKS.get(step.state, "…")
                self._console.print(f"{mark} {escape(step.name):<38} {step.state.lower():<10}{seconds}", highlight=False)


def print_firing(console: Console, cron_text: str, *, count: int = 5) -> None:
    """Say in words when a schedule fires, and the next times."""
    cron = parse_cron(cron_text)
    console.print(f"{cron.expression}: {cron.in_words()}. Next:", highlight=False)
    for time in cron.next_times(count):
        console.print(f"  {time:%a %Y-%m-%d %H:%M:%S} UTC", highlight=False)


def print_schedules(console: Console, found: list[Schedule]) -> None:
    """Print schedules as a table; an older one of the same name is marked."""
    table = Table("name", "fires", "next (UTC)", "track", "at once", "catch up")
    newest: set[str] = set()
    for schedule in found:
        superseded = schedule.name in newest
        newest.add(schedule.name)
        name = f"{schedule.name} (superseded)" if superseded else schedule.name
        wanted = schedule.wanted
        table.add_row(escape(name), _fires(wanted), schedule.next_time(), _tracked(wanted), str(wanted.max_concurrency), "yes" if wanted.catch_up else "no")
    console.print(table)


def _fires(wanted: Wanted) -> str:
    try:
        return parse_cron(wanted.cron).in_words()
    except SubmissionError:
        return wanted.cron


def _tracked(wanted: Wanted) -> str:
    return wanted.track if wanted.version_id is None else f"{wanted.track} {wanted.version_id}"
