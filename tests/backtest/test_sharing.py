"""Sharing fits, predictions and scores between policies and processes changes nothing but the time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.backtest import fits
from evergreen.backtest.errors import BacktestError
from evergreen.backtest.fits import Shared, content_of, rows_name
from evergreen.backtest.learner import LearnerSettings
from evergreen.backtest.parallel import HistorySource, replay_all
from evergreen.backtest.policies import with_bounds
from evergreen.backtest.progress import PlainProgress
from evergreen.backtest.replay import BacktestSettings, replay, replay_in_step
from evergreen.backtest.replayed import ALWAYS, FIXED, INFORMED, NEVER
from evergreen.backtest.timeline import Timeline
from evergreen.policy.policy_file import Policy
from evergreen.training.errors import TrainingError
from evergreen.training.plan import TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

COLUMNS = {"target_column": "rain", "timestamp_column": "time"}
SETTINGS = BacktestSettings(80, 100, LearnerSettings(training_window_days=140, estimator="sklearn.tree.DecisionTreeClassifier"))
POLICIES: dict[str, Policy | str] = {
    ALWAYS: ALWAYS,
    "default": Policy(),
    "often": Policy(maximum_model_age_days=80),
    "slow": Policy.model_validate({"hysteresis": {"needed": 2, "windows": 3}}),
    "small": Policy.model_validate({"maximum_model_age_days": 80, "training": {"sample_rows": 100}}),
    NEVER: NEVER,
}


class _Separate(Shared):
    """Shares nothing."""

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        del key
        return make()

    def _model(self, *args: Any) -> Any:
        self._fits.clear()
        return super()._model(*args)


def test_policies_in_step_do_what_each_does_alone(history: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for place, name in ((fits, "fit_all"), (TrainingPlan, "fit")):
        fit = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *args, fit=fit, name=name, **more: calls.append(name) or fit(*args, **more))
    timeline = Timeline(history, **COLUMNS)
    together = replay_in_step(timeline, POLICIES, settings=SETTINGS)
    shared = len(calls)
    monkeypatch.setattr("evergreen.backtest.replay.Shared", _Separate)
    calls.clear()
    alone = [replay(timeline, policy, name=name, settings=SETTINGS) for name, policy in POLICIES.items()]
    for one, other in zip(together, alone, strict=True):
        assert one.windows == other.windows, one.name
    assert {made.name: made.promotions for made in together}["often"] > 0
    assert shared <= len(calls) - 10, "the first model alone is fitted twice for each of six policies"


def test_processes_do_what_one_process_does(history: pd.DataFrame, tmp_path: Path) -> None:
    history.to_parquet(tmp_path / "history.parquet")
    timeline = Timeline(history, **COLUMNS)
    policies = with_bounds({"default": Policy(), "often": Policy(maximum_model_age_days=80)}, hindsight=True, changes=[pd.Timestamp("2020-10-27", tz="UTC")])
    ticks: list[str] = []
    made = replay_all(HistorySource(str(tmp_path / "history.parquet"), "rain", "time"), policies, SETTINGS, progress=ticks.append)
    assert [found.name for found in made] == [NEVER, ALWAYS, FIXED, INFORMED, "default", "often"]
    by_name = {found.name: found for found in made}
    for name in (NEVER, ALWAYS, "default", "often"):
        alone = replay(timeline, policies[name], name=name, settings=SETTINGS)
        assert by_name[name].windows == alone.windows, name
    # The fixed window of 140 days is always; the one of 120 is a replay of its own.
    assert len(ticks) == 6 * len(by_name[NEVER].windows)
    assert by_name[FIXED].training_window_days in (120, 140)


def test_an_error_in_one_window_stops_the_others(history: pd.DataFrame, tmp_path: Path) -> None:
    history.assign(rain=history["rain"].where(history["time"] > "2020-08-01", 1)).to_parquet(tmp_path / "history.parquet")
    source = HistorySource(str(tmp_path / "history.parquet"), "rain", "time")
    with pytest.raises(TrainingError, match="belong to class 1; expected at least two"):
        replay_all(source, {ALWAYS: ALWAYS, NEVER: NEVER}, SETTINGS)


def test_a_history_without_windows_is_refused_before_a_process_starts(history: pd.DataFrame, tmp_path: Path) -> None:
    history.to_parquet(tmp_path / "history.parquet")
    with pytest.raises(BacktestError, match="contains no window of 900 days"):
        replay_all(HistorySource(str(tmp_path / "history.parquet"), "rain", "time"), {NEVER: NEVER}, replace(SETTINGS, window_days=900))


def test_content_is_told_apart_by_values_types_and_gaps() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
    others = [
        frame.assign(a=[1.0, np.nan]),
        frame.assign(a=[1, 2]),
        frame.assign(b=["x", "None"]),
        frame.assign(b=pd.Series(["1", 1], dtype=object)),
        frame.assign(b=pd.Series([1, "1"], dtype=object)),
        frame.assign(b=pd.Series(["x", None], dtype="category")),
        frame.assign(a=pd.to_datetime(["2020-01-01", "2020-01-02"])),
        frame.rename(columns={"a": "c"}),
        frame.iloc[:1],
        frame.iloc[::-1],
    ]
    found = [content_of(other) for other in (frame, *others)]
    assert len(set(found)) == len(found)
    assert content_of(frame.set_index(pd.Index([7, 8]))) == found[0]


def test_rows_are_named_by_their_numbers() -> None:
    frame = pd.DataFrame({"a": range(10)})
    assert rows_name(frame.iloc[2:5]) == rows_name(frame.iloc[2:5].copy())
    parts = [frame.iloc[2:5], frame.iloc[2:6], frame.iloc[2:6:2], frame.iloc[[2, 3, 5]], frame.iloc[[2, 3, 6]], frame.iloc[:0]]
    assert len({rows_name(part) for part in parts}) == len(parts)


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    progress = PlainProgress(200, clock=lambda: now[0])
    for _ in range(200):
        now[0] += 2.0
        progress.advance("default")
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[:2] == ["20 of 200 windows, about 6 min left", "40 of 200 windows, about 5 min left"]
    assert lines[-1] == "180 of 200 windows, about 40 s left"
    assert len(lines) == 9


def test_a_short_backtest_says_nothing_about_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(10, clock=iter(range(100)).__next__)
    for _ in range(10):
        progress.advance()
    assert capsys.readouterr().err == ""
