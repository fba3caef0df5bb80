"""How a run looks in a terminal: a line a step while it goes on, a table at the end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.pipeline.local_run import LocalRun
    from evergreen.reporting.summary import RunSummary
    from evergreen.runs.records import StepRecord

MARKS = {"succeeded": "[green]✓[/]", "failed": "[red]✗[/]", "running": "[red]✗[/]"}


class LiveSteps:
    """Prints a line for each step that has ended, and says which one is running."""

    def __init__(self, console: Console) -> None:
        """Start with nothing printed."""
        self._console = console
        self._status = console.status("Starting")
        self._printed: set[str] = set()
        self._previous_end: float | None = None

    def __enter__(self) -> LiveSteps:
        """Show the spinner, where the console is a terminal."""
        self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the spinner away."""
        self._status.stop()

    def show(self, records: list[StepRecord]) -> None:
        """Print what has ended since the last call."""
        for record in records:
            if record.state == "running":
                self._status.update(f"{record.step_name} …")
            elif record.step_name not in self._printed:
                self._printed.add(record.step_name)
                self._console.print(
                    f"{MARKS[record.state]} {record.step_name:<24} {self._wall_time(record):5.1f} s  {escape(_first_line(record))}", highlight=False
                )

    def _wall_time(self, record: StepRecord) -> float:
        # Local steps follow each other: what passed since the last one ended is what this one cost, start-up included.
        duration = record.duration_s or 0.0
        end = _seconds(record.started_at) + duration
        wall_time = duration if self._previous_end is None else end - self._previous_end
        self._previous_end = end
        return max(wall_time, duration)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def _first_line(record: StepRecord) -> str:
    text = record.error if record.state == "failed" else record.outcome
    return text.strip().partition("\n")[0]


def print_summary(console: Console, summary: RunSummary, run: LocalRun) -> None:
    """Print the table of a finished run: decision, evaluation, champion, reports, and what failed."""
    table = Table(title=f"Run {summary.run_id}", show_header=False, title_justify="left", expand=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("status", f"[{'green' if summary.status == 'succeeded' else 'red'}]{summary.status}[/] in {run.duration_s:.1f} s: {escape(summary.outcome)}")
    table.add_row("decision", escape(summary.decision or "none was made"))
    for reason in summary.reasons:
        table.add_row("", escape(reason))
    if summary.evaluation:
        table.add_row("evaluation", escape(summary.evaluation.sentence or summary.evaluation.verdict))
    table.add_row("champion", f"{escape(summary.champion_before or 'unknown')} → {escape(summary.champion_after or 'unknown')}")
    if summary.error:
        table.add_row("[red]error[/]", escape(summary.error))
    console.print(table)
    # Paths on lines of their own: a terminal makes them links, and a table would cut them.
    for name, uri in summary.reports.items():
        console.print(f"  {name}: {escape(uri)}", soft_wrap=True, highlight=False)
    if summary.status != "succeeded":
        console.print(f"  log: {run.log_file}", soft_wrap=True, highlight=False)
