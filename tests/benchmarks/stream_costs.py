"""The costs of a repair, for `streams.py`: false promotions, choosing the rows to learn from, a quiet day, and the time of a backtest."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from stream_data import BEGIN, COLUMNS, GROUPS, Stream

from evergreen.backtest.learner import Champion, Learner, LearnerSettings
from evergreen.backtest.timeline import Timeline
from evergreen.data.times import iso_time
from evergreen.drift.detection import detect
from evergreen.drift.settings import DriftSettings
from evergreen.performance.monitoring import WatchedColumns, monitor_rows
from evergreen.performance.settings import PerformanceSettings
from evergreen.policy.policy_file import Policy
from evergreen.results.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream_table import Table

MOST_FALSE = 0.05
EQUAL_ROWS, EQUAL_DAYS, LOOK_DAYS = 3_000, 180, 30
CHOICE_ROWS, CHOICE_DAYS = 40_000, 720
QUIET_ROWS, QUIET_COLUMNS = 50_000, 30
BIG_ROWS, BIG_WINDOWS, BIG_NUMBERS = 277_000, 47, 11
TIMES = 3


def challenge_an_equal(seed: int) -> tuple[bool, float]:
    """Challenge a champion with a model that can be no better: as many rows of the same relation.

    Args:
        seed: Seed of the rows.

    Returns:
        Whether the challenger was promoted, and the points by which it is better on fresh rows.
    """
    stream = Stream("stationary", seed)
    frame = _spread(stream.fresh(0.0, 2 * EQUAL_ROWS, draw=seed), 2 * EQUAL_DAYS)
    timeline = Timeline(frame, **COLUMNS)
    learner = Learner(LearnerSettings(EQUAL_DAYS, metric="roc_auc"), **COLUMNS, policy=Policy())
    half, end = BEGIN + pd.Timedelta(days=EQUAL_DAYS), BEGIN + pd.Timedelta(days=2 * EQUAL_DAYS)
    champion = learner.first(timeline.at(half), EQUAL_DAYS)
    # A change that is none, at a random moment of the newest rows.
    changed = end - pd.Timedelta(days=float(np.random.default_rng(seed).uniform(0.5, 2) * LOOK_DAYS))
    successor = learner.challenge(timeline.at(end), champion, false_alarm(end, changed))
    if successor is None:
        return False, 0.0
    fresh = stream.fresh(0.0, draw=seed + 1_000_000)
    return True, 100 * ((learner.score(successor, fresh) or 0.0) - (learner.score(champion, fresh) or 0.0))


def false_alarm(end: pd.Timestamp, changed: pd.Timestamp, *, choose_rows: bool = True) -> Decision:
    """Return a decision to retrain because the relation seems to have changed."""
    return Decision(
        "retrain", ["The relation may have changed."], rule="probe", window_end=iso_time(end), choose_rows=choose_rows, changed_at=iso_time(changed)
    )


def equal_models(table: Table, repeats: int, processes: int) -> None:
    """Count false promotions: a challenger from as many rows of the same relation, chosen among windows and validated forward, is promoted."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(challenge_an_equal, range(repeats), chunksize=5))
    promoted = [gain for won, gain in found if won]
    share = len(promoted) / repeats
    table.row(f"equal models, {repeats} repeats: false promotions", f"{len(promoted)} ({share:.1%})", "at most 5%", share <= MOST_FALSE)
    if promoted:
        table.note("equal models: what the promoted ones score on fresh rows", f"{np.mean(promoted):+.2f} points, {min(promoted):+.2f} at worst")


def choosing(table: Table) -> None:
    """Compare the time of a challenger chosen among windows with that of a single one, both judged and rejected by the gate."""
    stream = Stream("abrupt", 0)
    days = np.linspace(0, CHOICE_DAYS, CHOICE_ROWS, endpoint=False)
    stream_days = np.where(days < CHOICE_DAYS - 2 * LOOK_DAYS, 0.0, stream.change_day + 1)
    frame = _at(pd.concat([stream.fresh(day, int((stream_days == day).sum()), draw=number) for number, day in enumerate(np.unique(stream_days))]), days)
    timeline, end = Timeline(frame, **COLUMNS), BEGIN + pd.Timedelta(days=CHOICE_DAYS)
    learner = Learner(LearnerSettings(metric="roc_auc"), **COLUMNS)
    # Nothing beats a model of so many rows of the new relation, so that neither way pays for a refit.
    champion = _unbeatable(stream, learner)
    changed = end - pd.Timedelta(days=2 * LOOK_DAYS)
    decisions = [false_alarm(end, changed, choose_rows=choose) for choose in (False, True)]
    # A learner remembers what it fitted, so each challenger has its own.
    challenge = [lambda one=one: Learner(LearnerSettings(metric="roc_auc"), **COLUMNS).challenge(timeline.at(end), champion, one) for one in decisions]
    single, chosen = _alternating(challenge)
    table.row(f"choosing among windows, {CHOICE_ROWS:,} rows: of a single fit", f"{chosen / single:.2f} times", "at most 2.5", chosen <= 2.5 * single)


def _unbeatable(stream: Stream, learner: Learner) -> Champion:
    frame = _spread(stream.fresh(stream.change_day + 1, 100_000, draw=99), 30, end=BEGIN)
    return learner.first(Timeline(frame, **COLUMNS).at(BEGIN), 31)


def _spread(frame: pd.DataFrame, days: float, *, end: pd.Timestamp | None = None) -> pd.DataFrame:
    """Spread rows evenly over the days before a moment, or from the beginning."""
    first = BEGIN if end is None else end - pd.Timedelta(days=days)
    return _at(frame, np.linspace(0, days, len(frame), endpoint=False), first)


def _at(frame: pd.DataFrame, days: Any, first: pd.Timestamp = BEGIN) -> pd.DataFrame:
    return frame.assign(time=first + pd.to_timedelta(days, unit="D").round("s")).reset_index(drop=True)


def quiet_day(table: Table) -> None:
    """Compare a day on which nothing is wrong with the probe and without: drift and performance of a window."""
    switched_off = _without_probe()
    if switched_off is None:
        table.row("quiet day with the probe, of one without", "there is no probe", "at most 2 times", met=False)
        return
    frame = _wide(2 * QUIET_ROWS)
    timeline = Timeline(frame, **COLUMNS)
    half, end = frame["time"].iloc[QUIET_ROWS], frame["time"].iloc[-1]
    learner = Learner(LearnerSettings(metric="roc_auc"), **COLUMNS)
    champion = learner.first(timeline.at(half), 10_000)
    window = timeline.at(end).rows(half, end)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "reference.parquet", Path(folder) / "current.parquet"
        champion.reference.to_parquet(paths[0], index=False)
        window.to_parquet(paths[1], index=False)

        def day(settings: PerformanceSettings) -> None:
            detect(paths[0], paths[1], settings=DriftSettings(), ignored_columns=["label"], timestamp_column="time", model=champion.model)
            columns = WatchedColumns("label", "time")
            monitor_rows(champion.model, champion.baseline, window, window_end=iso_time(end), columns=columns, settings=settings, seed=7)

        without, with_probe = _alternating([lambda: day(switched_off), lambda: day(PerformanceSettings())])
    text = f"{with_probe / without:.2f} times ({without:.1f} s, {with_probe:.1f} s)"
    table.row(f"quiet day with the probe, {QUIET_ROWS:,} x {QUIET_COLUMNS}", text, "at most 2 times", with_probe <= 2 * without)


def _without_probe() -> PerformanceSettings | None:
    if "probe" not in PerformanceSettings.model_fields:
        return None
    return PerformanceSettings.model_validate({"probe": {"run": False}})


def _wide(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, QUIET_COLUMNS - 2))
    groups = random.integers(0, len(GROUPS), (rows, 2))
    signal = numbers[:, 0] + 0.7 * numbers[:, 1] * numbers[:, 2] + 0.3 * groups[:, 0]
    frame = pd.DataFrame(numbers, columns=[f"x{number}" for number in range(numbers.shape[1])])
    frame = frame.assign(g0=np.asarray(GROUPS, dtype=object)[groups[:, 0]], g1=np.asarray(GROUPS, dtype=object)[groups[:, 1]])
    return _spread(frame.assign(label=(signal + random.normal(size=rows) > 0).astype(int)), 60)


def _alternating(tasks: list[Callable[[], object]]) -> list[float]:
    """Return the median seconds of each task, one after the other in turns."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(TIMES):
        for task, taken in zip(tasks, seconds, strict=True):
            started = time.process_time()
            task()
            taken.append(time.process_time() - started)
    return [median(taken) for taken in seconds]


def time_against(table: Table, before: Path | None) -> None:
    """Compare the time of never, always and default on 277,000 rows x 16 columns with that of another checkout."""
    if before is None:
        table.note("backtest of 277,000 rows, of the time of the commit before", "pass --before CHECKOUT")
        return
    if not (before / "components" / "evergreen").is_dir():
        raise SystemExit(f"--before {before}: expected a checkout of this repository, with a folder components/evergreen.")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "history.parquet"
        _big().to_parquet(data)
        now = Path(__file__).parents[2]
        # The same three policies, then with the best fixed window, which the commit before does not know.
        old, new, more = _backtest(before, data), _backtest(now, data, "--no-hindsight"), _backtest(now, data)
    same = all(old[1][name] == new[1][name] for name in ("never", "always"))
    text = f"{new[0] / old[0]:.2f} times ({old[0]:.0f} s, {new[0]:.0f} s)"
    table.row(f"backtest of {BIG_ROWS:,} rows, of the time of the commit before", text, "at most 0.33", new[0] <= old[0] / 3)
    table.row("backtest: scores of never and always", "as before" if same else "others", "as before", same)
    table.note("backtest: with the best fixed window", f"{more[0] / old[0]:.2f} times ({more[0]:.0f} s)")


def _backtest(checkout: Path, data: Path, *more: str) -> tuple[float, dict[str, list[Any]]]:
    """Return the seconds of a backtest by the code of a checkout, and the scores of each policy."""
    import json

    options = ["--target-column", "label", "--timestamp-column", "time", "--metric", "roc_auc", "--json", *more]
    command = [sys.executable, "-c", "from evergreen.cli.main import main; main()", "backtest", str(data), *options]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    started = time.perf_counter()
    done = subprocess.run(command, env={**environment, "PYTHONPATH": str(checkout / "components")}, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - started
    found = json.loads(done.stdout.splitlines()[-1])["policies"]
    return seconds, {made["name"]: [window["metric"] for window in made["windows"]] for made in found}


def _big() -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(BIG_ROWS, BIG_NUMBERS))
    days = np.sort(random.uniform(0, 90 + 30 * BIG_WINDOWS, BIG_ROWS))
    days[0], days[-1] = 0.0, 90 + 30 * BIG_WINDOWS - 0.01
    kinds = random.integers(0, 3, BIG_ROWS)
    turned = np.where(days > 0.6 * days[-1], -1.0, 1.0)
    signal = turned * numbers[:, 0] + 0.7 * numbers[:, 1] * numbers[:, 2] + (kinds == 0) - 0.5 * numbers[:, 3]
    frame = pd.DataFrame(numbers, columns=[f"x{number}" for number in range(BIG_NUMBERS)])
    return frame.assign(
        city=np.asarray([f"c{number}" for number in range(6)], dtype=object)[random.integers(0, 6, BIG_ROWS)],
        kind=np.asarray(["a", "b", "c"], dtype=object)[kinds],
        flag=random.random(BIG_ROWS) < 0.3,
        label=(signal + random.normal(0, 0.8, BIG_ROWS) > 0.3).astype(int),
        time=BEGIN + pd.to_timedelta(days, unit="D").round("s"),
    )
