from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from evergreen.backtest.errors import BacktestError, LookAheadError
from evergreen.backtest.timeline import Timeline

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {"target_column": "rain", "timestamp_column": "time"}


def test_windows_follow_each_other_after_the_first_days(history: pd.DataFrame) -> None:
    windows = Timeline(history, **COLUMNS).windows(window_days=30, start_days=90)
    assert [str(window.start.date()) for window in windows[:2]] == ["2020-03-31", "2020-04-30"]
    assert len(windows) == (500 - 90) // 30
    assert all(before.end == after.start for before, after in itertools.pairwise(windows))


def test_at_a_moment_only_settled_labels_are_known(history: pd.DataFrame) -> None:
    timeline = Timeline(history.sample(frac=1, random_state=0), **COLUMNS, label_delay_days=10)
    now = pd.Timestamp("2020-03-01", tz="UTC")
    known = timeline.at(now)
    newest = known.newest(5)
    assert (newest["time"].min(), newest["time"].max()) == (pd.Timestamp("2020-02-15", tz="UTC"), pd.Timestamp("2020-02-19", tz="UTC"))
    with pytest.raises(LookAheadError, match=r"At 2020-03-01T00:00:00Z, labels are known up to 2020-02-20T00:00:00Z, but rows up to 2020-02-21T00:00:00Z"):
        known.rows(now - pd.Timedelta(days=30), pd.Timestamp("2020-02-21", tz="UTC"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_column": "snow"}, "Unknown column 'snow' in --target-column. Columns of the data: time, temperature"),
        ({"timestamp_column": "when"}, "Unknown column 'when' in --timestamp-column"),
        ({"label_delay_days": -1}, "--label-delay-days -1: expected 0 or more days"),
    ],
)
def test_what_cannot_be_a_timeline_is_named(history: pd.DataFrame, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BacktestError, match=message):
        Timeline(history, **{**COLUMNS, **change})


def test_rows_without_time_and_no_rows_are_refused(history: pd.DataFrame) -> None:
    with pytest.raises(BacktestError, match="2 of 2000 rows have no event time"):
        Timeline(history.assign(time=history["time"].where(history.index > 1)), **COLUMNS)
    with pytest.raises(BacktestError, match="contains no rows"):
        Timeline(history.head(0), **COLUMNS)


def test_a_history_too_short_for_a_window_is_refused(history: pd.DataFrame, tmp_path: Path) -> None:
    timeline = Timeline(history, **COLUMNS)
    with pytest.raises(BacktestError, match="contains no window of 365 days after the first 400"):
        timeline.windows(window_days=365, start_days=400)
    with pytest.raises(BacktestError, match="--window-days 0: expected at least 1 day"):
        timeline.windows(window_days=0, start_days=3)
    history.to_parquet(tmp_path / "data.parquet")
    with pytest.raises(BacktestError, match="Unknown column 'key' in --exclude"):
        Timeline.read(tmp_path / "data.parquet", **COLUMNS, excluded_columns=("key",))
