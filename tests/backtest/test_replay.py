"""A replay never sees what was not known, and does what the pipeline would have done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evergreen.backtest.errors import LookAheadError
from evergreen.backtest.learner import Learner, LearnerSettings
from evergreen.backtest.replay import BacktestSettings, replay
from evergreen.backtest.replayed import ALWAYS, NEVER, Replay, WindowResult
from evergreen.backtest.report import slumps, windows_to_recover
from evergreen.backtest.timeline import Knowledge, Timeline
from evergreen.policy.policy_file import Policy

COLUMNS = {"target_column": "rain", "timestamp_column": "time"}
SETTINGS = BacktestSettings(
    window_days=30, start_days=90, learner=LearnerSettings(training_window_days=90, estimator="sklearn.linear_model.LogisticRegression")
)


def test_a_policy_retrains_after_a_change_and_recovers(history: pd.DataFrame) -> None:
    made = replay(Timeline(history, **COLUMNS), Policy(), name="default", settings=SETTINGS)
    change = next(number for number, window in enumerate(made.windows) if window.end > "2020-10-27")
    assert {window.rule for window in made.windows[:change] if window.retrained} <= {"model_age"}, "it stays quiet before the change"
    assert any(window.promoted for window in made.windows[change : change + 3])
    recovered = [window.metric for window in made.windows[change + 4 :]]
    assert min(recovered) > 0.8
    assert made.metric == "accuracy"
    assert (made.retrains, made.promotions) == (sum(window.retrained for window in made.windows), sum(window.promoted for window in made.windows))


def test_never_and_always(history: pd.DataFrame) -> None:
    timeline = Timeline(history, **COLUMNS)
    never, always = (replay(timeline, policy, name=policy, settings=SETTINGS) for policy in (NEVER, ALWAYS))
    assert (never.retrains, never.promotions) == (0, 0)
    assert always.retrains == always.promotions == len(always.windows) == len(never.windows) == 13
    assert never.windows[0].metric == always.windows[0].metric
    assert never.windows[-1].metric < 0.3
    assert always.windows[-1].metric > 0.8


@pytest.mark.parametrize("policy", [ALWAYS, Policy(maximum_model_age_days=60)])
def test_the_future_changes_nothing_before_it(history: pd.DataFrame, policy: Policy | str) -> None:
    cut = pd.Timestamp("2020-08-28", tz="UTC")
    other = history.copy()
    after = other["time"] >= cut
    random = np.random.default_rng(5)
    other.loc[after, "rain"] = random.integers(0, 2, int(after.sum()))
    other.loc[after, "temperature"] = random.normal(50, 3, int(after.sum()))
    one, two = (replay(Timeline(frame, **COLUMNS), policy, name="p", settings=SETTINGS).windows for frame in (history, other))
    past = [number for number, window in enumerate(one) if window.end[:10] <= str(cut.date())]
    assert len(past) == 5
    assert [one[number] for number in past] == [two[number] for number in past]
    assert [window.metric for window in one[6:]] != [window.metric for window in two[6:]]


def test_labels_are_used_only_after_their_delay(history: pd.DataFrame) -> None:
    settings = replace(SETTINGS, start_days=150)
    at_once = replay(Timeline(history, **COLUMNS), Policy(), name="p", settings=settings)
    late = replay(Timeline(history, **COLUMNS, label_delay_days=60), Policy(), name="p", settings=settings)
    first = [next(number for number, window in enumerate(made.windows) if window.rule == "performance") for made in (at_once, late)]
    assert first[1] >= first[0] + 2


def test_a_planted_leak_is_caught(history: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_window_too_far(self: Knowledge, days: float) -> pd.DataFrame:
        return self.rows(self.settled - pd.Timedelta(days=days), self.settled + pd.Timedelta(days=30))

    monkeypatch.setattr(Knowledge, "newest", one_window_too_far)
    with pytest.raises(LookAheadError, match="labels are known up to"):
        replay(Timeline(history, **COLUMNS), ALWAYS, name="leak", settings=SETTINGS)


def test_a_hole_in_history_is_a_window_without_a_score(history: pd.DataFrame) -> None:
    hole = (history["time"] >= "2020-05-30") & (history["time"] < "2020-06-29")
    made = replay(Timeline(history[~hole], **COLUMNS), Policy(), name="p", settings=SETTINGS)
    empty = [window for window in made.windows if window.rows == 0]
    assert [(window.start, window.metric, window.retrained) for window in empty] == [("2020-05-30T00:00:00Z", None, False)]
    assert made.mean_metric is not None


def test_the_first_model_is_used_whatever_the_gate_says(history: pd.DataFrame) -> None:
    noise = history.assign(rain=np.random.default_rng(0).integers(0, 2, len(history)))
    learner = Learner(replace(SETTINGS.learner), **COLUMNS)
    champion = learner.first(Timeline(noise, **COLUMNS).at(pd.Timestamp("2020-03-31", tz="UTC")), 90)
    assert champion.version == 1
    assert champion.baseline.fit_end == "2020-03-31T00:00:00Z"
    assert 0.3 < (champion.baseline.score or 0) < 0.7


def made_of(scores: list[float | None]) -> Replay:
    return Replay("p", [WindowResult(f"{number:03}", "", 10, score, False, False, "") for number, score in enumerate(scores)], 0.0, "accuracy")


def test_a_slump_is_as_long_as_it_takes_to_make_good_half_of_the_fall() -> None:
    quiet = [0.8, 0.79, 0.8, 0.81, 0.8, 0.79]
    assert windows_to_recover(made_of([*quiet, 0.8, 0.81])) is None
    assert windows_to_recover(made_of([*quiet, 0.5, 0.55, 0.7, 0.79])) == 2
    assert windows_to_recover(made_of([*quiet, 0.5, 0.5, 0.5])) == 3
    assert windows_to_recover(made_of([0.8, None])) is None
    assert slumps(made_of([*quiet, 0.5, 0.55, 0.7, 0.79, *quiet, 0.5, 0.79])) == [("006", 2), ("016", 1)]


def test_policies_with_other_gates_and_training_are_told_apart(history: pd.DataFrame) -> None:
    timeline = Timeline(history, **COLUMNS)
    eager = Policy(maximum_model_age_days=60)
    impossible = Policy.model_validate({"maximum_model_age_days": 60, "gate": {"floors": {"accuracy": 1.0}}})
    small = Policy.model_validate({"maximum_model_age_days": 60, "training": {"sample_rows": 100}})
    made = {name: replay(timeline, policy, name=name, settings=SETTINGS) for name, policy in (("eager", eager), ("strict", impossible))}
    assert made["eager"].promotions > 0
    assert made["strict"].promotions == 0
    assert made["strict"].retrains > 0
    learners = [Learner(SETTINGS.learner, **COLUMNS, policy=policy) for policy in (eager, small)]
    rows = [learner.first(timeline.at(pd.Timestamp("2020-08-01", tz="UTC")), 90).reference for learner in learners]
    assert [len(frame) for frame in rows] == [360, 100]
