"""The components with the bounds that know what is only known in hindsight."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen.backtest.component import replay_policy, report_backtest
from evergreen.backtest.errors import BacktestError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SETTINGS = {"target_column": "rain", "timestamp_column": "time", "window_days": 80, "start_days": 100, "training_window_days": 140}


def replayed(history: dsl.Dataset, folder: Path, policy: str, **more: Any) -> dsl.Artifact:
    made = dsl.Artifact(name="replay", uri=str(folder / f"{policy}.json"), metadata={})
    replay_policy.python_func(history=history, replay=made, policy=policy, estimator="sklearn.linear_model.LogisticRegression", **SETTINGS, **more)
    return made


def test_bounds_by_hindsight_are_replayed_and_reported(history: pd.DataFrame, tmp_path: Path) -> None:
    history.to_parquet(tmp_path / "history.parquet")
    data = dsl.Dataset(name="history", uri=str(tmp_path / "history.parquet"), metadata={})
    policies = ["default", "since every change", "best fixed window", "always", "never"]
    made = [replayed(data, tmp_path, policy, changes="2020-10-27, 2021-02-01" if policy.startswith("since") else "none") for policy in policies]
    content = {found["name"]: found for found in (json.loads((tmp_path / f"{policy}.json").read_text()) for policy in policies)}
    assert content["best fixed window"]["training_window_days"] in (120, 140)
    assert content["best fixed window"]["mean_metric"] >= content["always"]["mean_metric"]
    assert content["since every change"]["mean_metric"] > content["never"]["mean_metric"]
    page = dsl.HTML(name="page", uri=str(tmp_path / "page.html"), metadata={})
    sentence = report_backtest.python_func(replays=made, backtest_report=page, metrics=dsl.Metrics(name="metrics", uri=str(tmp_path / "m"), metadata={}))
    said = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert [said.index(f">{name}<") for name in ("never", "always", "best fixed window *", "since every change *", "default")] == sorted(
        said.index(f">{name}<") for name in ("never", "always", "best fixed window *", "since every change *", "default")
    )
    assert "best fixed window" not in sentence, "a bound is no policy to choose"


def test_who_knows_the_changes_has_to_be_told(history: pd.DataFrame, tmp_path: Path) -> None:
    history.to_parquet(tmp_path / "history.parquet")
    data = dsl.Dataset(name="history", uri=str(tmp_path / "history.parquet"), metadata={})
    with pytest.raises(BacktestError, match=r"it has to be told of the changes\. Set changes to their dates"):
        replayed(data, tmp_path, "since every change")
    with pytest.raises(BacktestError, match="Invalid --change 'soon'"):
        replayed(data, tmp_path, "since every change", changes="2020-10-27, soon")
    assert not (tmp_path / "since every change.json").exists()
