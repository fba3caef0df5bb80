"""Searches for a policy on the first part of history and validates it on the rest."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.backtest.errors import BacktestError
from evergreen.backtest.parallel import replay_all
from evergreen.backtest.policies import DEFAULT, with_bounds
from evergreen.data.times import iso_time
from evergreen.policy.policy_file import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.backtest.parallel import HistorySource
    from evergreen.backtest.replay import BacktestSettings
    from evergreen.backtest.replayed import Replay

TUNED = "tuned"
LEARNED_SHARE = 0.6
FEWEST_WINDOWS = 4


@dataclass(frozen=True)
class TuningResult:
    """A tuned policy and its performance.

    Attributes:
        policy: The policy.
        until: End of the part of history that was searched, ISO, UTC.
        searched: The results of all candidates in that part, best first.
        replays: Replays of never, always, the default and the tuned policy on the rest.
    """

    policy: Policy
    until: str
    searched: list[tuple[Policy, Replay, float]]
    replays: list[Replay]


def candidates(window_days: int) -> list[Policy]:
    """Return the candidate policies; lengths are in windows, so that they fit data of any frequency. The default policy is first and wins ties."""
    hysteresis = ({"needed": 2, "windows": 2}, {"needed": 1, "windows": 1}, {"needed": 2, "windows": 3})
    ages = (None, 3 * window_days, 6 * window_days)
    return [
        Policy.model_validate({"hysteresis": rule, "maximum_model_age_days": age, "follow_up_windows": follow_up})
        for rule, age, follow_up in itertools.product(hysteresis, ages, (4, 0))
    ]


def tune(
    source: HistorySource, settings: BacktestSettings, *, retrain_cost: float, until: str = "", progress: Callable[[str], None] = lambda _: None
) -> TuningResult:
    """Find a policy on the first part of history and replay it on the rest.

    The best policy has the highest mean metric minus the cost of its retrainings per window.

    Args:
        source: The history.
        settings: Settings shared by all policies.
        retrain_cost: Gain in the mean metric required to justify a retraining in every window.
        until: End of the first part (ISO); empty for 60 % of the windows.
        progress: Called with a policy's name after each of its windows.

    Raises:
        BacktestError: A part is too short, or the cost is negative.
    """
    if retrain_cost < 0:
        raise BacktestError(f"Invalid --retrain-cost {retrain_cost}: expected 0 or more, in units of the metric.")
    windows = source.timeline().windows(window_days=settings.window_days, start_days=settings.start_days)
    end = _time(until) if until else windows[int(len(windows) * LEARNED_SHARE)].start
    learned = [window for window in windows if window.end <= end]
    proving = [window for window in windows if window.start >= end]
    if min(len(learned), len(proving)) < FEWEST_WINDOWS:
        raise BacktestError(
            f"--tune until {iso_time(end)} leaves {len(learned)} windows for the search and {len(proving)} for validation; "
            f"expected at least {FEWEST_WINDOWS} each."
        )
    tried = {f"candidate {number}": policy for number, policy in enumerate(candidates(settings.window_days), start=1)}
    made = {found.name: found for found in replay_all(replace(source, until=iso_time(end)), tried, settings, progress=progress)}
    ranked = sorted(((policy, made[name], _worth(made[name], retrain_cost)) for name, policy in tried.items()), key=lambda item: -item[2])
    best = ranked[0][0]
    # The first model of the rest is fitted on the days before it, as in the first part.
    rest = replace(source, since=iso_time(end - pd.Timedelta(days=settings.start_days)))
    proved = replay_all(rest, with_bounds({DEFAULT: Policy(), TUNED: best}), settings, progress=progress)
    return TuningResult(best, iso_time(end), ranked, proved)


def _worth(made: Replay, retrain_cost: float) -> float:
    mean = made.mean_metric
    return float("-inf") if mean is None else mean - retrain_cost * made.retrains / len(made.windows)


def _time(text: str) -> Any:
    try:
        found = pd.Timestamp(text)
    except ValueError as error:
        raise BacktestError(f"Invalid --tune-until {text!r}: expected an ISO time such as 1978-01-01.") from error
    return found.tz_localize("UTC") if found.tz is None else found.tz_convert("UTC")
