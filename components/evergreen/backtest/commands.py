"""The backtest command: ``evergreen backtest``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.data.json_values import plain
from evergreen.settings.command_options import AsJson  # noqa: TC001 - Typer reads it at run time
from evergreen.settings.renamed_options import renamed_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.backtest.replayed import Replay


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=renamed_options({"--target": "--target-column"}))(backtest)


def backtest(  # noqa: PLR0917 - Typer makes a command's arguments from the signature
    data: Annotated[str, typer.Argument(help="Parquet or CSV file or folder with the history.", metavar="DATA")],
    target: Annotated[str, typer.Option("--target-column", help="Name of the label column.")],
    timestamp_column: Annotated[str, typer.Option("--timestamp-column", help="Name of the event time column.")],
    window_days: Annotated[int, typer.Option("--window-days", help="Length of the windows in days.")] = 30,
    policy: Annotated[list[str] | None, typer.Option("--policy", help="A policy file, or default. Repeatable.", metavar="FILE")] = None,
    start_days: Annotated[int | None, typer.Option("--start-days", help="Days at the start for training the first model. Defaults to three windows.")] = None,
    training_window_days: Annotated[int, typer.Option("--training-window-days", help="Length of the training window in days.")] = 1825,
    label_delay_days: Annotated[int, typer.Option("--label-delay-days", help="Days until labels are known.")] = 0,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="A column to exclude from the features. Repeatable.")] = None,
    estimator: Annotated[str, typer.Option("--estimator", help="Import path of the estimator.")] = "auto",
    metric: Annotated[str, typer.Option("--metric", help="Name of a scikit-learn scorer.")] = "auto",
    margin: Annotated[float, typer.Option("--margin", help="The gate's margin in units of the metric. A negative margin allows non-inferiority.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 7,
    hindsight: Annotated[
        bool,
        typer.Option(
            "--hindsight/--no-hindsight",
            help="Whether to show the training window that is best in hindsight, of 1.5, 3 and 6 windows and --training-window-days. It refits "
            "up to three more models per window, on few rows.",
        ),
    ] = True,
    change: Annotated[
        list[str] | None,
        typer.Option("--change", help="A time at which the relation changed (ISO), to show a policy that was told of it. Repeatable.", metavar="DATE"),
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Search for a policy on the first part of history and report on the rest.")] = False,
    tune_until: Annotated[str, typer.Option("--tune-until", help="End of the first part (ISO). Defaults to 60 % of the windows.")] = "",
    retrain_cost: Annotated[float, typer.Option("--retrain-cost", help="Gain in the mean metric required to justify retraining every window.")] = 0.005,
    html: Annotated[Path | None, typer.Option("--html", help="Write the HTML report to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay retraining policies over history and compare them with never retraining, retraining every window, and bounds by hindsight.

    Exit status: 0 if the replay completed, 2 for invalid input.
    """
    from evergreen.backtest.ending import ending
    from evergreen.backtest.errors import BacktestError
    from evergreen.backtest.every_window import change_times
    from evergreen.backtest.learner import LearnerSettings
    from evergreen.backtest.parallel import HistorySource, replay_all, split
    from evergreen.backtest.policies import policies_to_compare
    from evergreen.backtest.progress import show_progress
    from evergreen.backtest.replay import BacktestSettings
    from evergreen.backtest.report import backtest_page
    from evergreen.backtest.tuning import candidates
    from evergreen.backtest.tuning import tune as tune_policy

    source = HistorySource(data, target, timestamp_column, label_delay_days, tuple(exclude or ()))
    learner = LearnerSettings(training_window_days, estimator, {}, "auto", metric, margin, 0.2, seed)
    settings = BacktestSettings(window_days, 3 * window_days if start_days is None else start_days, learner)
    timeline = source.timeline()
    windows = len(timeline.windows(window_days=settings.window_days, start_days=settings.start_days))
    if tune:
        for option, given in (("--policy", policy), ("--change", change)):
            if given:
                raise BacktestError(f"--tune cannot be combined with {option}, because tuning creates its own policies. Pass only one of them.")
        with show_progress(windows * len(candidates(window_days))) as show:
            found = tune_policy(source, settings, retrain_cost=retrain_cost, until=tune_until, progress=show)
        replays, chosen = found.replays, found.policy.model_dump(mode="json", exclude_defaults=True)
        notes = [
            f"Tuned on history up to {found.until[:10]} among {len(found.searched)} policies; the results cover the rest. Tuned policy: {json.dumps(chosen)}"
        ]
        answer: dict[str, Any] = {"tuned_policy": chosen, "tuned_until": found.until}
    else:
        policies = policies_to_compare(policy or [], hindsight=hindsight, changes=change_times(change or (), timeline))
        scheduled, deciding = split(policies, settings)
        with show_progress(windows * (len(scheduled) + len(deciding))) as show:
            replays = replay_all(source, policies, settings, progress=show)
        notes, answer = [], {}
    if html is not None:
        html.write_text(backtest_page(replays, notes=notes), encoding="utf-8")
    if as_json:
        told = [{**made.as_json(), "ends_degraded": ending(made, replays).degraded} for made in replays]
        typer.echo(json.dumps(plain({**answer, "policies": told}), ensure_ascii=False))
    else:
        _print(replays, notes)


def _print(replays: Sequence[Replay], notes: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from evergreen.backtest.ending import ending
    from evergreen.backtest.report import degraded_endings, hindsight_notes, shown_name, windows_to_recover

    # Narrow enough for 80 columns.
    console, table = Console(), Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, title=f"Scores: {replays[0].metric}", title_justify="left")
    for note in notes:
        console.print(escape(note))
    for heading in ("policy", "mean", "retrained", "promoted", "worst", "slump", "end", "seconds"):
        table.add_column(heading, justify="left" if heading in ("policy", "end") else "right", no_wrap=heading != "policy")
    for made in replays:
        worst = made.worst
        table.add_row(
            escape(shown_name(made)),
            "none" if made.mean_metric is None else f"{made.mean_metric:.4f}",
            str(made.retrains),
            str(made.promotions),
            "none" if worst is None else f"{worst.metric:.4f}",
            str(windows_to_recover(made) or "none"),
            "degraded" if ending(made, replays).degraded else "",
            f"{made.seconds:.1f}",
        )
    console.print(table)
    console.print("slump: length of the longest one, in windows.")
    for note in [*hindsight_notes(replays), *degraded_endings(replays)]:
        console.print(escape(note))
