"""The bounds that know what is only known in hindsight, and the end of a history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from evergreen.backtest.ending import ending
from evergreen.backtest.errors import BacktestError
from evergreen.backtest.every_window import EveryWindow, best_fixed, change_times, fixed_window, fixed_windows
from evergreen.backtest.learner import Learner, LearnerSettings
from evergreen.backtest.policies import policies_to_compare
from evergreen.backtest.replay import BacktestSettings, replay
from evergreen.backtest.replayed import ALWAYS, FIXED, INFORMED, NEVER, Replay, WindowResult
from evergreen.backtest.report import backtest_page, hindsight_notes, verdict
from evergreen.backtest.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {"target_column": "rain", "timestamp_column": "time"}
CHANGE = pd.Timestamp("2020-10-27", tz="UTC")
SETTINGS = BacktestSettings(60, 90, LearnerSettings(training_window_days=200, estimator="sklearn.linear_model.LogisticRegression"))


@pytest.fixture
def timeline(history: pd.DataFrame) -> Timeline:
    return Timeline(history, **COLUMNS)


def made_of(name: str, scores: list[float | None]) -> Replay:
    windows = [WindowResult(f"2020-{number:02}", "", 10, score, False, False, "") for number, score in enumerate(scores, start=1)]
    return Replay(name, windows, 1.0, "accuracy")


def test_always_is_the_same_whether_its_windows_are_replayed_in_order_or_on_their_own(timeline: Timeline) -> None:
    in_order = replay(timeline, ALWAYS, name=ALWAYS, settings=SETTINGS)
    alone = EveryWindow(ALWAYS).replay(timeline, SETTINGS)
    assert alone.windows == in_order.windows
    assert (alone.name, alone.metric, alone.retrains) == (in_order.name, in_order.metric, 6)


def test_the_best_fixed_window_is_the_one_with_the_highest_mean(timeline: Timeline) -> None:
    assert fixed_windows(SETTINGS) == [90, 180, 200]
    made = {days: fixed_window(days, SETTINGS).replay(timeline, SETTINGS) for days in fixed_windows(SETTINGS)}
    best = best_fixed(made)
    assert best.mean_metric == max(found.mean_metric for found in made.values() if found.mean_metric is not None)
    assert best.training_window_days == 90, "the relation turned round, so the shortest memory is the best"
    assert {window.rule for window in best.windows} == {best.name} == {FIXED}
    assert made[200].windows == replay(timeline, ALWAYS, name=ALWAYS, settings=SETTINGS).windows


def test_fixed_windows_follow_the_windows_and_end_with_the_training_window() -> None:
    yearly = BacktestSettings(365, 1095, LearnerSettings())
    assert fixed_windows(yearly) == [548, 1095, 1825]
    assert fixed_windows(replace(yearly, learner=LearnerSettings(training_window_days=548))) == [548]


def test_who_is_told_of_the_change_recovers_as_soon_as_there_are_rows(timeline: Timeline) -> None:
    told = EveryWindow(INFORMED, changes=(CHANGE,)).replay(timeline, SETTINGS)
    always = EveryWindow(ALWAYS).replay(timeline, SETTINGS)
    before = [number for number, window in enumerate(told.windows) if window.start < "2020-10-27"]
    assert [told.windows[number].metric for number in before] == [always.windows[number].metric for number in before], "nothing is known beforehand"
    assert min(window.metric or 0 for window in told.windows[len(before) + 1 :]) > 0.8
    assert (told.mean_metric or 0) > (always.mean_metric or 0) + 0.1


def test_too_few_rows_or_one_class_since_the_change_are_not_learned_from(history: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []
    learn = Learner.renew

    def watched(self: Learner, *args: object, days: float | None = None, **others: object) -> object:
        seen.append(days)
        return learn(self, *args, days=days, **others)

    monkeypatch.setattr(Learner, "renew", watched)
    settings = replace(SETTINGS, window_days=30, start_days=304)
    one_class = history.assign(rain=history["rain"].where(~history["time"].between(CHANGE, CHANGE + pd.Timedelta(days=36), inclusive="left"), 1))
    for frame, lengths in ((history, [34.0, 64.0]), (one_class, [None, 64.0])):
        seen.clear()
        EveryWindow(INFORMED, changes=(CHANGE,)).replay(Timeline(frame, **COLUMNS), settings)
        assert seen[:2] == lengths, "4 rows a day, at least 100 of two classes; 304 days are 4 after the change"
    seen.clear()
    EveryWindow(INFORMED, changes=(CHANGE + pd.Timedelta(days=20),)).replay(Timeline(history, **COLUMNS), settings)
    assert seen[:2] == [None, 44.0], "14 days after it, there are 56 rows"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["soon"], "Invalid --change 'soon': expected an ISO date or time such as 2024-05-01"),
        ([""], "Invalid --change ''"),
        (["now"], "Invalid --change 'now'"),
        (["2020-10-27", "2020-10-27T00:00:00Z"], "'2020-10-27T00:00:00Z': 2020-10-27T00:00:00Z is given twice. Pass each change once"),
        (["2019-05-01"], "'2019-05-01': the history spans 2020-01-01T00:00:00Z to .*, and a change must be after its first row"),
        (["2020-01-01"], "must be after its first row"),
        (["2031-05-01"], "and not after its last. Correct the date or remove it"),
    ],
)
def test_changes_that_cannot_be_are_named(timeline: Timeline, given: list[str], message: str) -> None:
    with pytest.raises(BacktestError, match=message):
        change_times(given, timeline)


def test_changes_are_sorted_and_in_utc(timeline: Timeline) -> None:
    found = change_times(["2021-01-01T02:00+02:00", "2020-10-27"], timeline)
    assert found == (CHANGE, pd.Timestamp("2021-01-01", tz="UTC"))


def test_bounds_are_reserved_names_and_optional(tmp_path: Path) -> None:
    assert list(policies_to_compare([], hindsight=True, changes=(CHANGE,))) == [ALWAYS, FIXED, INFORMED, "default", NEVER]
    (tmp_path / f"{FIXED}.yaml").write_text("maximum_model_age_days: 30\n")
    with pytest.raises(BacktestError, match=r"the name 'best fixed window' is already taken\. Rename the file"):
        policies_to_compare([str(tmp_path / f"{FIXED}.yaml")])


def test_a_history_that_ends_degraded_is_red_and_says_so() -> None:
    good, fallen = [0.8, 0.81, 0.8, 0.79, 0.8, 0.8, 0.81, 0.8], [0.3, 0.31, 0.3]
    never, always = made_of(NEVER, [*good, *fallen]), made_of(ALWAYS, [*good, 0.6, 0.7, 0.75])
    for scores, tone, ends in (([*good, *fallen], "bad", True), ([*good, 0.79, 0.8, 0.8], "good", False)):
        replays = [never, always, made_of("default", scores)]
        found = ending(replays[-1], replays)
        assert found.degraded is ends
        assert f'class="verdict {tone}"' in backtest_page(replays)
        assert ("default ends degraded: 0.3000 at the end, 0.8000 at its best before." in verdict(replays)) is ends


def test_two_policies_of_which_one_ends_degraded_are_a_warning() -> None:
    good, fallen = [0.8, 0.81, 0.8, 0.79, 0.8, 0.8, 0.81, 0.8, 0.79, 0.8], [0.8, 0.81, 0.8, 0.79, 0.8, 0.8, 0.81, 0.3, 0.3, 0.3]
    replays = [made_of(NEVER, fallen), made_of(ALWAYS, good), made_of("mine", fallen), made_of("other", good)]
    assert 'class="verdict warning"' in backtest_page(replays)
    assert "mine ends degraded" in verdict(replays)
    assert "other ends degraded" not in verdict(replays)


@pytest.mark.parametrize(
    ("scores", "always", "ends"),
    [
        ([0.6, 0.61, 0.6, 0.61, 0.6, 0.61], [0.8, 0.8, 0.81, 0.8, 0.8, 0.81], True),  # never good, but always is
        ([0.6, 0.61, 0.6, 0.61, 0.6, 0.61], [0.62, 0.62, 0.61, 0.6, 0.62, 0.62], False),
        ([0.8, 0.81, 0.8, 0.81, 0.8, 0.3, 0.8, 0.81], None, False),  # one bad window
        ([0.8, 0.81, 0.8, 0.81, 0.8, 0.3, 0.3, 0.81], None, False),  # repaired in the last window
        ([0.8, 0.81, 0.8, 0.81, 0.8, 0.81, 0.8, 0.3], None, False),  # bad for the first time in the last window
        ([0.8, 0.81, 0.8, 0.81, 0.8, 0.81, 0.3, 0.31], None, True),
        ([0.7, 0.2], None, False),  # too short to judge
        ([None, None, None, None], None, False),
    ],
)
def test_the_end_is_judged_by_its_own_past_and_by_always(scores: list[float | None], always: list[float | None] | None, ends: bool) -> None:
    made = made_of("p", scores)
    others = [made] if always is None else [made, made_of(ALWAYS, always)]
    assert ending(made, others).degraded is ends


def test_a_bound_is_marked_in_the_table_and_explained() -> None:
    replays = [made_of(NEVER, [0.7]), made_of(ALWAYS, [0.7]), replace(made_of(FIXED, [0.8]), training_window_days=45), made_of("mine", [0.7])]
    page = backtest_page(replays)
    assert "best fixed window *" in page
    assert "a training window of 45 days, chosen in hindsight" in page
    assert hindsight_notes(replays[:2]) == []
    assert [made.as_json()["hindsight"] for made in replays] == [False, False, True, False]
    assert Replay.from_json(replays[2].as_json()) == replays[2]
