"""Four scheduled runs over fifty years of weather data on this machine, starting from an empty registry.

The pipeline is the one that is uploaded to Kubeflow. The first run finds no champion and promotes one; the second covers
quiet years; the third repairs a model that the years after a change of the relation between weather and rain have broken:
the rows to learn from are chosen, and the new model is promoted; the fourth reads a broken file.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evergreen.cli.display import LiveSteps, print_summary
from evergreen.pipeline.loading import arguments_for, load_pipeline
from evergreen.pipeline.local_run import LocalRun, run_locally
from evergreen.pipeline.warm_steps import StepServer
from evergreen.registry.display import print_history
from evergreen.registry.ledger import Ledger
from evergreen.reporting.challenger_text import scores_sentence
from evergreen.reporting.summary import RunSummary, summarise_run
from evergreen.runs.local_home import LocalHome
from evergreen.storage.opening import open_store

ROOT = Path(__file__).resolve().parent.parent
WEATHER = ROOT / "demo" / "weather.parquet"
HOME = LocalHome(ROOT / ".evergreen" / "demo")
MODEL = "rain"

PARAMETERS = {
    "data_timestamp_column": "observed_at",
    "data_target_column": "rain",
    "data_window_days": 365,
    "training_window_days": 1825,
    "model_name": MODEL,
}


@dataclass(frozen=True)
class ScheduledRun:
    """One run of the demo.

    Attributes:
        title: What the run demonstrates.
        window_end: End of the data window.
        expected_outcome: The outcome that the run must have.
        source: The file to read.
        repairs: Whether the rows to learn from must have been chosen.
    """

    title: str
    window_end: str
    expected_outcome: str
    source: Path = WEATHER
    repairs: bool = False


def break_file(source: Path, target: Path) -> Path:
    """Write a copy of the weather data with standardized temperatures replaced by degrees Fahrenheit."""
    table = pq.read_table(source)
    position = table.schema.get_field_index("temperature")
    fahrenheit = pc.add(pc.multiply(table["temperature"], pa.scalar(20.0)), pa.scalar(55.0))
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.set_column(position, "temperature", fahrenheit), target)
    return target


def main() -> int:
    """Perform the runs; the exit status is 0 if each had its expected outcome."""
    # Keep a reference, because the runner redirects sys.stdout.
    console = Console(file=sys.stdout)
    shutil.rmtree(HOME.folder, ignore_errors=True)
    broken = break_file(WEATHER, HOME.folder / "broken_weather.parquet")
    schedule = [
        ScheduledRun("1954: no champion yet", "1954-01-01", "promoted"),
        ScheduledRun("1966: quiet years", "1966-01-01", "kept"),
        ScheduledRun("1984: a broken model is repaired", "1984-01-01", "promoted", repairs=True),
        ScheduledRun("1985: a file with temperatures in Fahrenheit", "1985-01-01", "failed", broken),
    ]
    pipeline = load_pipeline(ROOT / "pipelines" / "continuous_retraining.py")
    finished: list[tuple[ScheduledRun, LocalRun, RunSummary]] = []
    with StepServer() as server:
        for scheduled in schedule:
            console.rule(f"[bold]{escape(scheduled.title)}", align="left")
            given = {**PARAMETERS, "data_source_uri": str(scheduled.source), "data_window_end": scheduled.window_end}
            with LiveSteps(console) as steps:
                run = run_locally(pipeline, arguments_for(pipeline, given), HOME, steps.show, server=server)
            summary = summarise_run(run.records, run_id=run.run_id, model_name=MODEL)
            print_summary(console, summary, run)
            finished.append((scheduled, run, summary))
    print_table_of_runs(console, finished)
    for scheduled, _, summary in finished:
        print_repair(console, scheduled, summary)
    print_history(console, MODEL, Ledger(open_store(HOME.ledger_uri), MODEL).records())
    wrong = [scheduled.title for scheduled, _, summary in finished if not as_expected(scheduled, summary)]
    if wrong:
        console.print(f"[red]These runs did not end as expected: {escape('; '.join(wrong))}[/]")
        return 1
    console.print("Every run ended as expected: the broken model was repaired, and the broken file was refused and the champion kept.")
    return 0


def as_expected(scheduled: ScheduledRun, summary: RunSummary) -> bool:
    """Return whether a run had its expected outcome, by the expected way."""
    return summary.outcome == scheduled.expected_outcome and (summary.choice is not None) == scheduled.repairs


def print_repair(console: Console, scheduled: ScheduledRun, summary: RunSummary) -> None:
    """Print what repaired a broken champion: what the new one learned from, and both scores."""
    if summary.choice is not None and summary.evaluation is not None and summary.outcome == "promoted":
        console.print(f"[bold]The repair of {scheduled.window_end[:4]}[/]: the new champion learned from {escape(summary.choice.chosen.name)}.")
        console.print(escape(scores_sentence(summary.evaluation)))


def print_table_of_runs(console: Console, finished: list[tuple[ScheduledRun, LocalRun, RunSummary]]) -> None:
    """Print one line per run, and the path of each run's report."""
    table = Table(title="The runs", title_justify="left")
    for heading in ("run", "decision", "outcome", "champion", "seconds"):
        table.add_column(heading)
    for scheduled, run, summary in finished:
        champion = f"{summary.champion_before or '?'} → {summary.champion_after or '?'}"
        table.add_row(scheduled.title, summary.decision or "none", summary.outcome, champion, f"{run.duration_s:.1f}")
    console.print(table)
    for scheduled, run, _ in finished:
        console.print(f"{scheduled.title}: {run.ledger_uri}/runs/{run.run_id}.html", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
