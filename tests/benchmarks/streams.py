"""Whether a broken model is repaired by default: streams whose relation changes, and streams on which nothing is broken.

``python tests/benchmarks/streams.py`` prints every figure beside its bar. ``--part`` runs a part alone, ``--stream`` and ``--seeds`` fewer streams
(``--seeds 3`` or ``--seeds 0,4,7``), ``--before PATH`` compares the time of a backtest with another checkout. Streams are replayed in as many processes
as there are cores; how long it took is printed at the end. While a policy is tuned, ``--bounds FILE`` keeps the scores of the fixed windows, which do not
depend on it and take most of the time.

A *point* is 0.01 of the metric: ROC AUC, R squared (regression) or accuracy (three classes).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

# One process for each core, so one thread in each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from stream_costs import choosing, equal_models, quiet_day, time_against
from stream_data import ABRUPT, COLUMNS, CONTROLS, KINDS, START_DAYS, WINDOW_DAYS, Stream
from stream_table import Table

from evergreen.backtest.learner import Champion, Learner, LearnerSettings
from evergreen.backtest.parallel import HistorySource, replay_all
from evergreen.backtest.policies import policies_to_compare
from evergreen.backtest.replay import BacktestSettings, Observation, replay
from evergreen.backtest.timeline import Timeline
from evergreen.backtest.tuning import tune
from evergreen.policy.policy_file import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from evergreen.backtest.replayed import Replay

WEATHER = Path(__file__).parents[2] / "demo" / "weather.parquet"
ALL_DAYS = 1825
FIXED_DAYS = (45, 90, 180, ALL_DAYS)
POINT = 0.01
NEAR = 5 * POINT
ROWS_AFTER_CHANGE = 300
REFERENCE_ROWS = 20_000
NEXT_WINDOWS = 3
PARTS = ("streams", "weather", "equal", "choosing", "quiet", "time")
BARRED = ("abrupt", "half", "gradual")
"""Streams whose bars are those that the project sets itself; the same figures of others are shown beside the same bars."""


@dataclass
class Retraining:
    """A retraining of the default policy: what it brought in the next windows, and to the score on fresh rows if it was promoted."""

    rule: str
    promoted: bool
    gain_next: float | None
    gain_fresh: float | None


@dataclass
class Outcome:
    """What became of a stream.

    Attributes:
        stream: The stream.
        default: Mean score of the default policy.
        retrainings: Its retrainings.
        fixed: Mean score by length of the training window, for those that were replayed.
        windows: Number of windows.
        recovery: Windows until the model in use is as good as the reference, counted from the one with the 300th row; None if there was no abrupt change.
        seconds: Seconds for all of it.
    """

    stream: Stream
    default: float
    retrainings: list[Retraining]
    windows: int
    fixed: dict[int, float] = field(default_factory=dict)
    recovery: int | None = None
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """Points of the default policy over the best fixed window in hindsight."""
        return (self.default - max(self.fixed.values())) / POINT


def play(stream: Stream, known: dict[int, float]) -> Outcome:
    """Replay the default policy on a stream, and the fixed windows that it is compared with, unless their scores are known."""
    started = time.perf_counter()
    timeline = Timeline(stream.frame(), **COLUMNS)
    seen: list[Observation] = []
    made = replay(timeline, Policy(), name="default", settings=settings_of(stream), observer=seen.append)
    judge = Learner(settings_of(stream).learner, **COLUMNS)
    outcome = Outcome(stream, made.mean_metric or 0.0, [_judged(stream, timeline, judge, seen, index) for index in _retrained(seen)], len(made.windows))
    if stream.kind not in CONTROLS:
        days = (ALL_DAYS,) if stream.kind == "recurring" else FIXED_DAYS
        outcome.fixed = known or {length: replay(timeline, "always", name="fixed", settings=settings_of(stream, length)).mean_metric or 0.0 for length in days}
    if stream.kind in ABRUPT:
        outcome.recovery = _recovery(stream, judge, timeline, seen)
    outcome.seconds = time.perf_counter() - started
    return outcome


def settings_of(stream: Stream, training_window_days: int = ALL_DAYS) -> BacktestSettings:
    """Return the defaults of ``evergreen backtest``, with the stream's metric."""
    return BacktestSettings(WINDOW_DAYS, START_DAYS, LearnerSettings(training_window_days, metric=stream.metric))


def _retrained(seen: Sequence[Observation]) -> list[int]:
    return [index for index, found in enumerate(seen) if found.retrained]


def _judged(stream: Stream, timeline: Timeline, judge: Learner, seen: Sequence[Observation], index: int) -> Retraining:
    """Compare a promoted model with the one it replaced, on the next windows and on fresh rows."""
    found = seen[index]
    if found.successor.version == found.champion.version:
        return Retraining(found.rule, promoted=False, gain_next=None, gain_fresh=None)
    following = [timeline.outcome(later.window) for later in seen[index + 1 : index + 1 + NEXT_WINDOWS]]
    fresh = stream.fresh(stream.day_of(found.window.end), draw=index)
    return Retraining(found.rule, promoted=True, gain_next=_gain(judge, found, following), gain_fresh=_gain(judge, found, [fresh]))


def _gain(judge: Learner, found: Observation, parts: Iterable[pd.DataFrame]) -> float | None:
    pairs = [(judge.score(found.successor, rows), judge.score(found.champion, rows)) for rows in parts]
    gains = [new - old for new, old in pairs if new is not None and old is not None]
    return fmean(gains) if gains else None


def _recovery(stream: Stream, judge: Learner, timeline: Timeline, seen: Sequence[Observation]) -> int:
    """Return in how many windows, counted from the one with the 300th row after the change, the model is as good as one of 20,000 rows."""
    after = stream.fresh(stream.change_day + 1, rows=REFERENCE_ROWS, draw=1000)
    reference = _fitted(stream, after)
    fresh = stream.fresh(stream.change_day + 1, draw=1001)
    wanted = (judge.score(reference, fresh) or 0.0) - NEAR
    count = 0
    for found in seen:
        rows = timeline.outcome(found.window) if found.window.end > stream.changed_at else None
        if rows is None or (not count and _rows_since(timeline, stream.changed_at, found.window.end) < ROWS_AFTER_CHANGE):
            continue
        count += 1
        if (judge.score(found.successor, fresh) or 0.0) >= wanted:
            return count
    # It never was.
    return count + 1


def _rows_since(timeline: Timeline, start: pd.Timestamp, end: pd.Timestamp) -> int:
    return len(timeline.at(end + timeline.label_delay).rows(start, end))


def _fitted(stream: Stream, rows: pd.DataFrame) -> Champion:
    """Fit a model on rows of one day; its times are spread so that a holdout can be told apart."""
    import pandas as pd

    spread = rows.assign(time=rows["time"] + pd.to_timedelta(range(len(rows)), unit="s"))
    reference = Timeline(spread, **COLUMNS)
    learner = Learner(settings_of(stream).learner, **COLUMNS)
    return learner.first(reference.at(spread["time"].iloc[-1] + pd.Timedelta(seconds=1)), 10)


def streams(table: Table, kinds: Sequence[str], seeds: Sequence[int], processes: int, bounds: KnownBounds) -> None:
    """Replay the streams and print their figures, each kind as soon as it is complete."""
    # Those with the most rows first, so that no process is left with a long one at the end.
    todo = sorted((Stream(kind, seed) for kind in kinds for seed in seeds), key=lambda stream: (KINDS.index(stream.kind), -stream.rows))
    found: dict[str, list[Outcome]] = defaultdict(list)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for outcome in pool.map(play, todo, [bounds.of(stream) for stream in todo]):
            bounds.keep(outcome)
            found[outcome.stream.kind].append(outcome)
            _tell(outcome)
            if len(found[outcome.stream.kind]) == len(seeds):
                _kind(table, outcome.stream.kind, found[outcome.stream.kind])
    together = [outcome for kind in BARRED for outcome in found[kind]]
    if together:
        gaps = [outcome.gap for outcome in together]
        table.row("abrupt, half and gradual: default - best fixed window, mean", f"{fmean(gaps):+.2f} points", "at least 0", fmean(gaps) >= 0)


class KnownBounds:
    """Scores of fixed windows from earlier runs, in a file; they are those of the streams as `stream_data.py` makes them now."""

    def __init__(self, path: Path | None) -> None:
        """Read the file, if there is one."""
        self._path = path
        self._known: dict[str, dict[str, float]] = json.loads(path.read_text()) if path is not None and path.exists() else {}
        self._made = hashlib.sha256(Path(__file__).with_name("stream_data.py").read_bytes() + repr(FIXED_DAYS).encode()).hexdigest()[:12]

    def of(self, stream: Stream) -> dict[int, float]:
        """Return the known scores of a stream by length of the window; nothing if they are not known."""
        return {int(days): score for days, score in self._known.get(self._key(stream), {}).items()}

    def keep(self, outcome: Outcome) -> None:
        """Remember the scores of a stream."""
        if self._path is not None and outcome.fixed:
            self._known[self._key(outcome.stream)] = {str(days): score for days, score in outcome.fixed.items()}
            self._path.write_text(json.dumps(self._known, indent=1))

    def _key(self, stream: Stream) -> str:
        return f"{stream.kind} {stream.seed} {self._made}"


def _tell(outcome: Outcome) -> None:
    """Print a line for a stream, to see where a figure comes from."""
    fixed = ", ".join(f"{'all' if days == ALL_DAYS else days} {score:.3f}" for days, score in outcome.fixed.items())
    what = " ".join(f"{made.rule}{'+' if made.promoted else '-'}" for made in outcome.retrainings)
    stream = outcome.stream
    recovered = "" if outcome.recovery is None else f", back after {outcome.recovery}"
    text = f"{stream.kind} {stream.seed}: {stream.rows:,} rows, default {outcome.default:.3f} ({what or 'no retraining'}){recovered}"
    print(f"  {text}{'; fixed: ' + fixed if fixed else ''}; {outcome.seconds:.0f} s", flush=True)


def _kind(table: Table, kind: str, found: Sequence[Outcome]) -> None:
    if kind in CONTROLS:
        _control(table, kind, found)
    elif kind == "recurring":
        gains = [(outcome.default - outcome.fixed[ALL_DAYS]) / POINT for outcome in found]
        text = f"{fmean(gains):+.1f} points ({min(gains):+.1f} at worst)"
        table.row("recurring: default - always, all history, mean over the seeds", text, "at least +5 points", fmean(gains) >= 5)
    else:
        _changing(table, kind, found)


def _changing(table: Table, kind: str, found: Sequence[Outcome]) -> None:
    gaps, trained = [outcome.gap for outcome in found], [len(outcome.retrainings) for outcome in found]
    table.row(f"{kind}: default - best fixed window, mean over the seeds", f"{fmean(gaps):+.2f} points", "at least 0", fmean(gaps) >= 0)
    table.row(f"{kind}: default - best fixed window, worst stream", f"{min(gaps):+.2f} points", "at least -0.5", min(gaps) >= -0.5)
    most = found[0].windows // 3
    text = f"{fmean(trained):.1f} on average, {max(trained)} at most"
    table.row(f"{kind}: retrainings (best fixed window: {found[0].windows})", text, f"at most {most}", max(trained) <= most)
    counts = [outcome.recovery for outcome in found if outcome.recovery is not None]
    if not counts:
        return
    text = f"{median(counts):g} (median), {max(counts)} (worst)"
    if kind == "imbalanced":
        # 300 rows hold 6 positives.
        table.note(f"{kind}: windows to within 5 points of 20,000 new rows", text)
    else:
        table.row(f"{kind}: windows to within 5 points of 20,000 new rows", text, "at most 2, 3", median(counts) <= 2 and max(counts) <= 3)


def _control(table: Table, kind: str, found: Sequence[Outcome]) -> None:
    by_age = [sum(made.rule == "model_age" for made in outcome.retrainings) for outcome in found]
    others = [[made for made in outcome.retrainings if made.rule != "model_age"] for outcome in found]
    needless = [sum(made.gain_next is None or made.gain_next <= 0 for made in part) for part in others]
    total = [len(part) for part in others]
    losses = [made.gain_fresh / POINT for outcome in found for made in outcome.retrainings if made.gain_fresh is not None]
    windows = found[0].windows
    text = f"{fmean(needless):.1f} on average, {max(needless)} at most"
    table.row(f"{kind}: retrainings in {windows} windows that bring nothing", text, "at most 1 in each", max(needless) <= 1)
    text = f"{fmean(total):.1f} on average, {max(total)} at most"
    table.row(f"{kind}: retrainings, age aside", text, "at most 2 in each", max(total) <= 2)
    worst = min(losses, default=0.0)
    table.row(f"{kind}: worst of {len(losses)} promotions, on fresh rows", f"{worst:+.2f} points", "at least -0.3", worst >= -0.3)
    table.note(f"{kind}: retrainings by age", f"{fmean(by_age):.1f} on average, {max(by_age)} at most")


def weather(table: Table) -> None:
    """Compare the default policy, and one tuned on the first part, with retraining every year."""
    source, settings = HistorySource(str(WEATHER), "rain", "observed_at"), BacktestSettings(365, 3 * 365)
    made = {found.name: found for found in replay_all(source, policies_to_compare([]), settings)}
    gap = _points(made["default"], made["always"])
    table.row("weather: default - always", f"{gap:+.2f} points", "at least -0.5", gap >= -0.5)
    table.row("weather: retrainings of default", str(made["default"].retrains), "at most 9", made["default"].retrains <= 9)
    proved = {found.name: found for found in tune(source, settings, retrain_cost=0.005, until="1978-01-01").replays}
    gap = _points(proved["tuned"], proved["always"])
    text = f"{gap:+.2f} points, {proved['tuned'].retrains} retrainings"
    table.row("weather: tuned up to 1978 - always, on the rest", text, "better", gap > 0)


def _points(one: Replay, other: Replay) -> float:
    return ((one.mean_metric or 0.0) - (other.mean_metric or 0.0)) / POINT


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="Run this part only. Repeatable.")
    parser.add_argument("--stream", action="append", choices=KINDS, help="Replay streams of this kind only. Repeatable.")
    parser.add_argument("--seeds", default="10", help="Number of seeds, or the seeds themselves, separated by commas.")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="Number of processes.")
    parser.add_argument("--bounds", type=Path, help="Keep the scores of the fixed windows in this file, and read them from it.")
    parser.add_argument("--repeats", type=int, default=400, help="Repeats of the part equal.")
    parser.add_argument("--before", type=Path, help="A checkout to compare the time of a backtest with (part time).")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")] if "," in given.seeds else list(range(int(given.seeds)))
    parts, table, started = given.part or PARTS, Table(), time.perf_counter()
    if "streams" in parts:
        streams(table, given.stream or KINDS, seeds, given.processes, KnownBounds(given.bounds))
    if "weather" in parts:
        weather(table)
    if "equal" in parts:
        equal_models(table, given.repeats, given.processes)
    if "choosing" in parts:
        choosing(table)
    if "quiet" in parts:
        quiet_day(table)
    if "time" in parts:
        time_against(table, given.before)
    table.close(time.perf_counter() - started)
    return 0 if table.met else 1


if __name__ == "__main__":
    sys.exit(main())
