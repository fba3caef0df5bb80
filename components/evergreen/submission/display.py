"""Terminal display of runs and schedules on the server."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.markup import escape

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError
from evergreen.submission.parameter_values import SCHEDULED_WITH_CRON, WINDOW_END

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.submission.failures import StepFailure
    from evergreen.submission.runs import StepState
    from evergreen.submission.schedule import Schedule, ScheduleSettings

MARKS = {
    "SUCCEEDED": "[green]✓[/]",
    "FAILED": "[red]✗[/]",
    "CANCELED": "[red]✗[/]",
    "SKIPPED": "[dim]-[/]",
    "NOT_STARTED": "[dim]-[/]",
    "UNKNOWN": "[dim]?[/]",
}

LONGEST_TIME = len("2026-11-29 03:00")


class LiveStates:
    """Prints a line whenever the state of a step changes."""

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
                self._console.print(f"{mark} {escape(step.name):<38} {step.state.lower().replace('_', ' '):<12}{seconds}", highlight=False)


def print_firing(console: Console, cron_text: str, *, count: int = 5) -> None:
    """Print when a schedule fires, in words, and its next times."""
    cron = parse_cron(cron_text)
    console.print(f"{cron.expression}: {cron.in_words()}. Next:", highlight=False)
    for time in cron.next_times(count):
        console.print(f"  {time:%a %Y-%m-%d %H:%M:%S} UTC", highlight=False)


def print_failures(console: Console, failures: list[StepFailure]) -> None:
    """Print for each failed step why it failed, what to do and where the report is."""
    for failure in failures:
        step = f"{failure.step}: " if failure.step else ""
        console.print(f"\n{MARKS['FAILED']} {escape(step + failure.error)}", highlight=False, soft_wrap=True)
        console.print(f"  What to do: {failure.advice}", highlight=False, markup=False, soft_wrap=True)
        if failure.report:
            unsure = "" if failure.source == "record" else " (if the last step of the run was able to write it)"
            console.print(f"  Report: {failure.report}{unsure}", highlight=False, markup=False, soft_wrap=True)


def print_window_end(console: Console, wanted: ScheduleSettings) -> None:
    """Print which window the runs of a schedule use if its parameters leave that to the slot."""
    window_end = str(wanted.parameters.get(WINDOW_END, ""))
    if SCHEDULED_WITH_CRON.fullmatch(window_end):
        console.print(f"{WINDOW_END}: {window_end}, the last slot of this cron expression before each run is created.", highlight=False, soft_wrap=True)


def print_schedules(console: Console, found: list[Schedule]) -> None:
    """Print schedules in a few lines each: next time, name, and the rest in words. Older schedules of the same name are marked as superseded."""
    indent = " " * (LONGEST_TIME + 2)
    console.print(f"{'NEXT (UTC)':<{LONGEST_TIME}}  SCHEDULE", style="bold", highlight=False)
    newest: set[str] = set()
    for schedule in found:
        superseded = " (superseded)" if schedule.name in newest else ""
        newest.add(schedule.name)
        lines = [f"{_next(schedule):<{LONGEST_TIME}}  {schedule.name}{superseded}"]
        wanted = schedule.wanted
        runs = f"{wanted.max_concurrency} run{'' if wanted.max_concurrency == 1 else 's'} at a time"
        words = f"{_fires(wanted)}; {_tracked(wanted)}; {runs}; {'catches up' if wanted.catch_up else 'no catch-up'}"
        lines += textwrap.wrap(words, max(console.width, 40), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _next(schedule: Schedule) -> str:
    """Return when a schedule fires next, with minute precision."""
    time = schedule.next_time()
    return time[:16].replace("T", " ") if len(time) > LONGEST_TIME else time


def _fires(wanted: ScheduleSettings) -> str:
    try:
        return parse_cron(wanted.cron).in_words().removesuffix(" (UTC)")
    except SubmissionError:
        return wanted.cron


def _tracked(wanted: ScheduleSettings) -> str:
    return "latest version" if wanted.version_id is None else f"version {wanted.version_id}"
