from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from evergreen.backtest.errors import BacktestError
from evergreen.backtest.learner import LearnerSettings
from evergreen.backtest.parallel import HistorySource, replay_all
from evergreen.backtest.policies import policies_to_compare
from evergreen.backtest.replay import BacktestSettings
from evergreen.backtest.report import backtest_page
from evergreen.backtest.tuning import candidates, tune
from evergreen.cli.main import app
from evergreen.errors import PolicyError

if TYPE_CHECKING:
    import pandas as pd

OPTIONS = ["--target-column", "rain", "--timestamp-column", "time", "--window-days", "50", "--training-window-days", "100"]
LOGISTIC = ["--estimator", "sklearn.linear_model.LogisticRegression"]


@pytest.fixture
def data(history: pd.DataFrame, tmp_path: Path) -> str:
    history.to_parquet(tmp_path / "history.parquet")
    return str(tmp_path / "history.parquet")


def test_the_command_compares_policies_and_writes_a_report(data: str, tmp_path: Path) -> None:
    (tmp_path / "often.yaml").write_text("maximum_model_age_days: 50\n")
    arguments = [
        "backtest",
        data,
        *OPTIONS,
        *LOGISTIC,
        "--policy",
        str(tmp_path / "often.yaml"),
        "--change",
        "2020-10-27",
        "--html",
        str(tmp_path / "report.html"),
        "--json",
    ]
    # A process of its own: the policies' processes start from the main module.
    done = subprocess.run([str(Path(sys.executable).with_name("evergreen")), *arguments], capture_output=True, text=True, timeout=200, check=True)
    policies: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])["policies"]
    assert [policy["name"] for policy in policies] == ["never", "always", "best fixed window", "since every change", "often"]
    assert [policy["hindsight"] for policy in policies] == [False, False, True, True, False]
    assert policies[2]["training_window_days"] in (75, 100)
    assert policies[0]["ends_degraded"] is True, "the relation turned round and never retrains"
    for policy in policies:
        assert {"mean_metric", "retrains", "promotions", "worst_window", "seconds", "windows"} <= set(policy)
        assert len(policy["windows"]) == 7
        assert all({"start", "metric", "retrained", "promoted"} <= set(window) for window in policy["windows"])
        scores = [window["metric"] for window in policy["windows"]]
        assert policy["mean_metric"] == pytest.approx(sum(scores) / len(scores))
        assert policy["worst_window"] == min(scores)
    assert policies[1]["retrains"] == 7
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "Retrainings of often" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target-column", "snow"], "Unknown column 'snow' in --target-column"),
        (["--window-days", "400"], "contains no window of 400 days"),
        (["--policy", "/no/such.yaml"], "'such.yaml' does not exist"),
        (["--tune", "--policy", "default"], "--tune cannot be combined with --policy"),
        (["--tune", "--change", "2020-10-27"], "--tune cannot be combined with --change"),
        (["--change", "someday"], "Invalid --change 'someday': expected an ISO date"),
        (["--change", "1999-01-01"], "a change must be after its first row"),
        (["--tune", "--retrain-cost", "-1"], "--retrain-cost -1.0: expected 0 or more"),
        (["--tune", "--tune-until", "soon"], "Invalid --tune-until 'soon'"),
        (["--tune", "--tune-until", "2020-07-01"], "windows for the search"),
    ],
)
def test_bad_input_is_named_with_exit_status_2(data: str, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["backtest", data, *OPTIONS, *arguments])
    assert isinstance(done.exception, (BacktestError, PolicyError))
    assert message in str(done.exception)


def test_policies_are_named_after_their_files(tmp_path: Path) -> None:
    for name in ("never", "monthly"):
        (tmp_path / f"{name}.yaml").write_text("maximum_model_age_days: 30\n")
    assert list(policies_to_compare([])) == ["always", "default", "never"]
    assert list(policies_to_compare([str(tmp_path / "monthly.yaml"), "default"])) == ["always", "monthly", "default", "never"]
    with pytest.raises(BacktestError, match="the name 'never' is already taken"):
        policies_to_compare([str(tmp_path / "never.yaml")])
    with pytest.raises(BacktestError, match="the name 'monthly' is already taken"):
        policies_to_compare([str(tmp_path / "monthly.yaml"), str(tmp_path / "monthly.yaml")])


def test_tuning_searches_the_first_part_and_proves_on_the_rest(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.backtest.tuning.candidates", lambda days: candidates(days)[:3])
    learner = LearnerSettings(training_window_days=90, estimator="sklearn.linear_model.LogisticRegression")
    source = HistorySource(data, "rain", "time")
    found = tune(source, BacktestSettings(25, 75, learner), retrain_cost=0.005)
    assert len(found.searched) == 3
    assert found.searched[0][0] == found.policy
    assert all(window.end <= found.until for _, made, _ in found.searched for window in made.windows)
    assert [made.name for made in found.replays] == ["never", "always", "default", "tuned"]
    assert all(window.start >= found.until for made in found.replays for window in made.windows)
    assert "tuned" in backtest_page(found.replays)


def test_what_stops_a_policy_stops_the_backtest(data: str) -> None:
    learner = LearnerSettings(estimator="sklearn.linear_model.LinearRegression")
    with pytest.raises(ValueError, match="the task is classification, which requires a classifier"):
        replay_all(HistorySource(data, "rain", "time"), {"never": "never"}, BacktestSettings(50, 100, learner))
