"""The pipeline of a backtest, run on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kfp import dsl

from evergreen.backtest.component import report_backtest
from evergreen.backtest.errors import BacktestError
from support.commands import evergreen

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

PIPELINE = Path(__file__).parents[2] / "pipelines" / "policy_backtest.py"


@pytest.mark.timeout(600)
def test_policies_fan_out_and_meet_in_one_report(make_events: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    make_events(days=300).to_parquet(tmp_path / "events.parquet")
    (tmp_path / "params.yaml").write_text(
        json.dumps(
            {
                "data_source_uri": str(tmp_path / "events.parquet"),
                "data_timestamp_column": "time",
                "data_target_column": "rain",
                "data_window_days": 50,
                "training_start_days": 100,
                "training_window_days": 100,
                "training_estimator": "sklearn.linear_model.LogisticRegression",
                "policy_configs": ["never", "always", "maximum_model_age_days: 60"],
            }
        )
    )
    done = evergreen("run", str(PIPELINE), "--params", str(tmp_path / "params.yaml"), "--home", str(tmp_path / "home"), "--json")
    answer = done.json
    assert (done.status, answer["status"], answer["outcome"]) == (0, "succeeded", "compared"), done.stderr
    page = Path(answer["reports"]["report_backtest/backtest_report"]).read_text(encoding="utf-8")
    for name in ("never", "always", "maximum_model_age_days: 60"):
        assert name in page


def test_a_report_needs_both_bounds_and_each_policy_once(tmp_path: Path) -> None:
    def artifact(name: str, number: int) -> dsl.Artifact:
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"name": name, "windows": [], "seconds": 0.0, "metric": "accuracy"}))
        return dsl.Artifact(name="replay", uri=str(path), metadata={})

    def report(*names: str) -> None:
        outputs = {
            "backtest_report": dsl.HTML(name="r", uri=str(tmp_path / "r"), metadata={}),
            "metrics": dsl.Metrics(name="m", uri=str(tmp_path / "m"), metadata={}),
        }
        report_backtest.python_func(replays=[artifact(name, number) for number, name in enumerate(names)], **outputs)

    with pytest.raises(BacktestError, match=r"'always' is missing.*found never, mine. Replay it"):
        report("never", "mine")
    with pytest.raises(BacktestError, match="two have the same name; the names are never, always, mine, mine"):
        report("never", "always", "mine", "mine")
    assert not (tmp_path / "r").exists()


def test_metrics_name_each_policy_as_mlflow_takes_names(tmp_path: Path) -> None:
    from mlflow.utils.validation import _validate_metric_name

    in_line = ["performance: {margin: 0.1}", "performance: [margin: 0.1]"]
    replays = []
    for number, name in enumerate(["never", "always", *in_line]):
        (tmp_path / f"{number}.json").write_text(json.dumps({"name": name, "windows": [], "seconds": 0.0, "metric": "accuracy"}))
        replays.append(dsl.Artifact(name="replay", uri=str(tmp_path / f"{number}.json"), metadata={}))
    metrics = dsl.Metrics(name="m", uri=str(tmp_path / "m"), metadata={})
    report_backtest.python_func(replays=replays, backtest_report=dsl.HTML(name="r", uri=str(tmp_path / "r"), metadata={}), metrics=metrics)
    assert {name: value for name, value in metrics.metadata.items() if name.endswith(": retrainings")} == {
        "never: retrainings": 0.0,
        "always: retrainings": 0.0,
        "performance: margin: 0.1 3: retrainings": 0.0,
        "performance: margin: 0.1 4: retrainings": 0.0,
    }
    for name in metrics.metadata:
        _validate_metric_name(name)
