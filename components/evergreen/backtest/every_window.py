"""Policies that retrain after every window without a gate: what a model is fitted on depends on the window alone.

So the windows are independent of each other, and can be replayed in any order and in parallel.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from evergreen.backtest.errors import BacktestError
from evergreen.backtest.learner import Learner
from evergreen.backtest.replayed import ALWAYS, FIXED, Replay, WindowResult
from evergreen.data.times import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evergreen.backtest.replay import BacktestSettings
    from evergreen.backtest.timeline import Knowledge, Timeline

FIXED_WINDOWS = (1.5, 3.0, 6.0)
"""Lengths of the fixed training windows that hindsight chooses among, in windows, in addition to the training window of the settings."""
FEWEST_SINCE_CHANGE = 100
"""Rows since a change below which a model learns from all rows: with fewer, hardly any model is better than the old relation."""


@dataclass(frozen=True)
class WindowOutcome:
    """The result of a window, the name of the metric (only known for the first window), and the computing time in seconds."""

    result: WindowResult
    metric: str
    seconds: float


@dataclass(frozen=True)
class EveryWindow:
    """Refits after every window, without a gate.

    Attributes:
        name: Name of the policy.
        training_window_days: Length of the training window in days; None for that of the settings.
        changes: Event times at which the relation between inputs and label changed, oldest first. A model learns only from rows since the last
            one that is known by then, or from all if those are too few or of one class.
    """

    name: str
    training_window_days: int | None = None
    changes: tuple[pd.Timestamp, ...] = ()

    def outcome(self, timeline: Timeline, settings: BacktestSettings, number: int) -> WindowOutcome:
        """Return the outcome of a window. No model is fitted after the last window, because none would be scored.

        Args:
            timeline: The history.
            settings: Settings shared by all policies.
            number: Number of the window, from 0. The model in use is fitted on what was known when the window began.

        Raises:
            TrainingError: The rows do not allow training.
        """
        started = time.process_time()
        window = timeline.windows(window_days=settings.window_days, start_days=settings.start_days)[number]
        learner = Learner(settings.learner, target_column=timeline.target_column, timestamp_column=timeline.timestamp_column)
        knowledge = timeline.at(window.start)
        if number == 0:
            champion = learner.first(knowledge, settings.start_days)
        else:
            champion = learner.renew(knowledge, version=number + 1, days=self._days(knowledge, settings))
        rows = timeline.outcome(window)
        score = learner.score(champion, rows)
        result = WindowResult(iso_time(window.start), iso_time(window.end), len(rows), score, True, True, self.name)
        return WindowOutcome(result, champion.baseline.metric, time.process_time() - started)

    def replay(self, timeline: Timeline, settings: BacktestSettings) -> Replay:
        """Replay all windows, one after the other.

        Raises:
            BacktestError: The history is too short for the windows.
            TrainingError: A model cannot be trained on its window.
        """
        windows = len(timeline.windows(window_days=settings.window_days, start_days=settings.start_days))
        return assembled(self.name, [self.outcome(timeline, settings, number) for number in range(windows)])

    def _days(self, knowledge: Knowledge, settings: BacktestSettings) -> float | None:
        longest = settings.learner.training_window_days
        known = [change for change in self.changes if change < knowledge.settled]
        if not known:
            return self.training_window_days
        days = min((knowledge.settled - known[-1]) / pd.Timedelta(days=1), longest)
        labels = knowledge.newest(days)[knowledge.timeline.target_column].dropna()
        # With one label only, there is nothing to learn.
        return days if len(labels) >= FEWEST_SINCE_CHANGE and bool((labels != labels.iloc[0]).any()) else None


def fixed_windows(settings: BacktestSettings) -> list[int]:
    """Return the lengths in days of the fixed training windows that hindsight chooses among, shortest first; the last is that of the settings.

    They follow the length of the windows, so that they fit data of any frequency.
    """
    longest = settings.learner.training_window_days
    shorter = sorted({round(settings.window_days * windows) for windows in FIXED_WINDOWS})
    return [*[days for days in shorter if days < longest], longest]


def fixed_key(days: int, settings: BacktestSettings) -> str:
    """Return the key of a fixed training window; the one of the settings is always."""
    return ALWAYS if days == settings.learner.training_window_days else f"fixed window of {days} days"


def fixed_window(days: int, settings: BacktestSettings) -> EveryWindow:
    """Return the policy with a fixed training window; the one of the settings is always."""
    return EveryWindow(ALWAYS if fixed_key(days, settings) == ALWAYS else FIXED, days)


def assembled(name: str, outcomes: Sequence[WindowOutcome]) -> Replay:
    """Return the replay made of the outcomes of all windows, oldest first."""
    return Replay(name, [outcome.result for outcome in outcomes], sum(outcome.seconds for outcome in outcomes), outcomes[0].metric)


def best_fixed(replays: Mapping[int, Replay]) -> Replay:
    """Return the replay with the highest mean score as that of the best fixed window, chosen in hindsight.

    Args:
        replays: The replays by the length of their training window in days.
    """
    # On a tie, the shortest one, which is the cheapest.
    days = max(sorted(replays), key=lambda length: float("-inf") if (mean := replays[length].mean_metric) is None else mean)
    best = replays[days]
    windows = [replace(window, rule=FIXED) for window in best.windows]
    return Replay(FIXED, windows, sum(made.seconds for made in replays.values() if made.name == FIXED), best.metric, training_window_days=days)


def change_times(given: Iterable[str], timeline: Timeline) -> tuple[pd.Timestamp, ...]:
    """Return the event times of known changes, oldest first.

    Args:
        given: ISO dates or times; without a time zone, UTC.
        timeline: The history that contains them.

    Raises:
        BacktestError: One is no time, is given twice, or is not inside the history.
    """
    found: list[pd.Timestamp] = []
    for text in given:
        moment = _moment(text)
        if moment in found:
            raise BacktestError(f"--change {text!r}: {iso_time(moment)} is given twice. Pass each change once.")
        if not timeline.start < moment <= timeline.end:
            raise BacktestError(
                f"--change {text!r}: the history spans {iso_time(timeline.start)} to {iso_time(timeline.end)}, and a change must be after its first row "
                "and not after its last. Correct the date or remove it."
            )
        found.append(moment)
    return tuple(sorted(found))


def _moment(text: str) -> pd.Timestamp:
    wrong = BacktestError(f"Invalid --change {text!r}: expected an ISO date or time such as 2024-05-01.")
    try:
        moment = pd.Timestamp(text)
    except ValueError as error:
        raise wrong from error
    # Empty texts and "nan" are no time, and words such as "now" are another one tomorrow.
    if pd.isna(moment) or not text.strip()[:1].isdigit():
        raise wrong
    return moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
