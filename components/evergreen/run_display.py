"""How a run looks in a terminal: a line a step while it goes on, a table at the end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evergreen.local_run import LocalRun
    from evergreen.registry.ledger import LedgerRecord
    from evergreen.registry.lineage import Learned
    from evergreen.reporting.summary import RunSummary
    from evergreen.run_log import StepRecord

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
        table.add_row("evaluation", escape(str(summary.evaluation.get("sentence") or summary.evaluation.get("verdict"))))
    table.add_row("champion", f"{escape(summary.champion_before or 'unknown')} → {escape(summary.champion_after or 'unknown')}")
    if summary.error:
        table.add_row("[red]error[/]", escape(summary.error))
    console.print(table)
    # Paths on lines of their own: a terminal makes them links, and a table would cut them.
    for name, uri in summary.reports.items():
        console.print(f"  {name}: {escape(uri)}", soft_wrap=True, highlight=False)
    if summary.status != "succeeded":
        console.print(f"  log: {run.log_file}", soft_wrap=True, highlight=False)


def print_history(console: Console, model_name: str, records: list[LedgerRecord]) -> None:
    """Print a model's ledger as a table, oldest record first."""
    table = Table(title=f"Ledger of {escape(model_name)}", title_justify="left")
    for heading in ("#", "time", "what", "champion", "reason"):
        table.add_column(heading, overflow="fold")
    for record in records:
        number = record.evidence.get("semantic_version") if record.changed_champion() else None
        champion = f"{record.version_before} → {record.version_after}{f' ({number})' if number else ''}"
        sentence = str(record.evidence.get("sentence", ""))
        table.add_row(str(record.number), record.time[:19].replace("T", " "), escape(record.kind), champion, escape(sentence))
    console.print(table)


def print_lineage(console: Console, found: Sequence[Learned]) -> None:
    """Print what versions came from: one table each, from the data to the promotion."""
    for learned in found:
        table = Table(title=escape(f"{learned.model_name}, version {learned.version}: {learned.status}"), show_header=False, title_justify="left")
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        files = f"{len(learned.data_objects)} {'file' if len(learned.data_objects) == 1 else 'files'}" if learned.data_objects else ""
        rows = {
            "data": ", ".join(filter(None, (learned.data_source_uri, files))),
            "window": f"{learned.fit_start} to {learned.fit_end}" if learned.fit_end else "",
            "fingerprint": learned.data_fingerprint,
            "training run": learned.training_run,
            "pipeline run": learned.pipeline_run,
            "recipe": learned.estimator,
            "challenger": learned.challenger_id,
            "code": " in ".join(filter(None, (f"Evergreen {learned.evergreen_version}" if learned.evergreen_version else "", learned.image))),
            "promoted": f"{learned.promoted_at} instead of {learned.promoted_instead_of}" if learned.promoted_at else "never",
            "semantic version": learned.semantic_version,
        }
        for name, text in rows.items():
            table.add_row(name, escape(text or "unknown"))
        console.print(table)
