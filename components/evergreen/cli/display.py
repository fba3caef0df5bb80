"""Displays a run in a terminal: a line per step while it runs, and a table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from evergreen.data.times import parse_time
from evergreen.reporting.challenger_text import scores_sentence
from evergreen.reporting.repair_terminal import print_repair

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.pipeline.local_run import LocalRun
    from evergreen.reporting.summary import RunSummary
    from evergreen.runs.records import StepRecord

MARKS = {"succeeded": "[green]✓[/]", "failed": "[red]✗[/]", "running": "[red]✗[/]"}


class LiveSteps:
    """Prints a line for each finished step, and shows which step is running."""

    def __init__(self, console: Console) -> None:
        """Write to the console."""
        self._console = console
        self._status = console.status("Starting")
        self._printed: set[str] = set()
        self._previous_end: float | None = None

    def __enter__(self) -> LiveSteps:
        """Show the spinner if the console is a terminal."""
        self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the spinner."""
        self._status.stop()

    def show(self, records: list[StepRecord]) -> None:
        """Print the steps that have finished since the last call."""
        for record in records:
            if record.state == "running":
                self._status.update(f"{record.step_name} …")
            elif record.step_name not in self._printed:
                self._printed.add(record.step_name)
                self._console.print(
                    f"{MARKS[record.state]} {record.step_name:<24} {self._wall_time(record):5.1f} s  {escape(_first_line(record))}", highlight=False
                )

    def _wall_time(self, record: StepRecord) -> float:
        # Local steps run one after another, so the time since the previous step ended is this step's cost, including start-up.
        duration = record.duration_s or 0.0
        end = _seconds(record.started_at) + duration
        wall_time = duration if self._previous_end is None else end - self._previous_end
        self._previous_end = end
        return max(wall_time, duration)


def _seconds(time: str) -> float:
    return parse_time(time).timestamp()


def _first_line(record: StepRecord) -> str:
    text = record.error if record.state == "failed" else record.outcome
    return text.strip().partition("\n")[0]


def print_summary(console: Console, summary: RunSummary, run: LocalRun) -> None:
    """Print the table of a finished run: decision, evaluation, champion, reports and errors; and what to know about a degraded champion that stays."""
    table = Table(title=f"Run {summary.run_id}", show_header=False, title_justify="left", expand=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    outcome = f"[bold red]{escape(summary.outcome)}[/]" if summary.repair else escape(summary.outcome)
    table.add_row("status", f"[{'green' if summary.status == 'succeeded' else 'red'}]{summary.status}[/] in {run.duration_s:.1f} s: {outcome}")
    table.add_row("decision", escape(summary.decision or "none"))
    for reason in summary.reasons:
        table.add_row("", escape(reason))
    if summary.choice:
        table.add_row("challenger", escape(summary.choice.sentence or summary.choice.chosen.name))
    if summary.evaluation:
        table.add_row("evaluation", escape(summary.evaluation.sentence or summary.evaluation.verdict))
        if compared := scores_sentence(summary.evaluation):
            table.add_row("", escape(compared))
    table.add_row("champion", f"{escape(summary.champion_before or 'unknown')} → {escape(summary.champion_after or 'unknown')}")
    if summary.error:
        table.add_row("[red]error[/]", escape(summary.error))
    console.print(table)
    print_repair(console, summary)
    # Paths are printed on their own lines so that terminals can link them; a table would truncate them.
    for name, uri in summary.reports.items():
        console.print(f"  {name}: {escape(uri)}", soft_wrap=True, highlight=False)
    if summary.status != "succeeded":
        console.print(f"  log: {run.log_file}", soft_wrap=True, highlight=False)
