"""The backtest room's command: ``evergreen backtest``."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.data.json_values import plain
from evergreen.settings.command_options import AsJson  # noqa: TC001 - Typer reads it at run time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from evergreen.backtest.replay import BacktestSettings, Replay


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(backtest)


def backtest(  # noqa: PLR0917 - Typer makes a command's arguments from the signature
    data: Annotated[str, typer.Argument(help="Parquet or CSV file or folder with the history.", metavar="DATA")],
    target: Annotated[str, typer.Option("--target", help="The label's column.")],
    timestamp_column: Annotated[str, typer.Option("--timestamp-column", help="The event time's column.")],
    window_days: Annotated[int, typer.Option("--window-days", help="Length of the windows.")] = 30,
    policy: Annotated[list[str] | None, typer.Option("--policy", help="A policy file, or default; may be given more than once.", metavar="FILE")] = None,
    start_days: Annotated[int | None, typer.Option("--start-days", help="First days, for the first model; three windows when not given.")] = None,
    training_window_days: Annotated[int, typer.Option("--training-window-days", help="Length of the window that is learned from.")] = 1825,
    label_delay_days: Annotated[int, typer.Option("--label-delay-days", help="Labels are known after so many days.")] = 0,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="A column that is no feature.")] = None,
    estimator: Annotated[str, typer.Option("--estimator", help="Import path of the estimator.")] = "auto",
    metric: Annotated[str, typer.Option("--metric", help="A scikit-learn scorer's name.")] = "auto",
    margin: Annotated[float, typer.Option("--margin", help="The gate's margin, in the metric's unit; negative allows non-inferiority.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 7,
    tune: Annotated[bool, typer.Option("--tune", help="Search a policy on the first part of history and report on the rest.")] = False,
    tune_until: Annotated[str, typer.Option("--tune-until", help="Where the first part ends, ISO; 60 % of the windows when not given.")] = "",
    retrain_cost: Annotated[float, typer.Option("--retrain-cost", help="Gain in the mean metric that retraining every window must bring.")] = 0.005,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report for people to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay retraining policies over history, beside never retraining and retraining every window.

    Exit status: 0 when the replay went through, 2 for bad input.
    """
    from evergreen.backtest.errors import BacktestError
    from evergreen.backtest.learner import LearnerSettings
    from evergreen.backtest.parallel import HistorySource, replay_all
    from evergreen.backtest.policies import policies_to_compare
    from evergreen.backtest.replay import BacktestSettings
    from evergreen.backtest.report import backtest_page
    from evergreen.backtest.tuning import candidates
    from evergreen.backtest.tuning import tune as tune_policy

    source = HistorySource(data, target, timestamp_column, label_delay_days, tuple(exclude or ()))
    learner = LearnerSettings(training_window_days, estimator, {}, "auto", metric, margin, 0.2, seed)
    settings = BacktestSettings(window_days, 3 * window_days if start_days is None else start_days, learner)
    if tune:
        if policy:
            raise BacktestError("--tune and --policy: tuning makes its own policies. Give one of the two.")
        with _progress(source.timeline(), settings, len(candidates(window_days)), as_json=as_json) as show:
            found = tune_policy(source, settings, retrain_cost=retrain_cost, until=tune_until, progress=show)
        replays, chosen = found.replays, found.policy.model_dump(mode="json", exclude_defaults=True)
        notes = [
            f"Tuned on history up to {found.until[:10]} among {len(found.searched)} policies; what is shown is the rest. Tuned policy: {json.dumps(chosen)}"
        ]
        answer: dict[str, Any] = {"tuned_policy": chosen, "tuned_until": found.until}
    else:
        policies = policies_to_compare(policy or [])
        with _progress(source.timeline(), settings, len(policies), as_json=as_json) as show:
            replays = replay_all(source, policies, settings, progress=show)
        notes, answer = [], {}
    if html is not None:
        html.write_text(backtest_page(replays, notes=notes), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(plain({**answer, "policies": [made.as_json() for made in replays]}), ensure_ascii=False))
    else:
        _print(replays, notes)


@contextmanager
def _progress(timeline: Any, settings: BacktestSettings, policies: int, *, as_json: bool) -> Iterator[Callable[[str], None]]:
    """Show a bar with the time left on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    windows = len(timeline.windows(window_days=settings.window_days, start_days=settings.start_days))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty() or as_json) as bar:
        task = bar.add_task("Replaying windows", total=windows * policies)
        yield lambda _: bar.advance(task)


def _print(replays: Sequence[Replay], notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from evergreen.backtest.report import windows_to_recover

    console, table = Console(), Table()
    for note in notes:
        console.print(escape(note))
    for heading in ("policy", f"mean {replays[0].metric}", "retrainings", "promotions", "worst window", "longest slump", "seconds"):
        table.add_column(heading, justify="left" if heading == "policy" else "right")
    for made in replays:
        worst, slump = made.worst, windows_to_recover(made)
        table.add_row(
            escape(made.name),
            "none" if made.mean_metric is None else f"{made.mean_metric:.4f}",
            str(made.retrains),
            str(made.promotions),
            "none" if worst is None else f"{worst.metric:.4f} ({worst.start[:10]})",
            "none" if slump is None else f"{slump} windows",
            f"{made.seconds:.1f}",
        )
    console.print(table)
