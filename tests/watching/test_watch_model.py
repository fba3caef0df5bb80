"""watch_model beside the three components that it stands for: on the same inputs, the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import MessageToDict
from kfp import dsl

from evergreen import decide_retraining, detect_drift, monitor_performance, watch_model
from evergreen.images import DRIFT_IMAGE
from evergreen.policy.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

ROOT = Path(__file__).parents[2]
KINDS: dict[str, type] = {"report": dsl.HTML, "metrics": dsl.Metrics}
TIMES = ("started_at", "duration_s", "reports")


def outputs(folder: Path, *names: str) -> dict[str, Any]:
    return {name: KINDS.get(name.rpartition("_")[2], dsl.Artifact)(name=name, uri=str(folder / name), metadata={}) for name in names}


def absent(folder: Path, kind: type, name: str) -> Any:
    (folder / name).write_text("")
    return kind(name=name, uri=str(folder / name), metadata={"present": False})


@pytest.fixture
def inputs(tmp_path: Path, make_events: Callable[..., pd.DataFrame]) -> dict[str, Any]:
    """A champion's reference and a window that has drifted; the model itself is absent."""
    make_events(days=200).drop(columns="city").to_parquet(tmp_path / "reference", index=False)
    make_events(start="2020-08-01", days=60, seed=3, shift=2.0).drop(columns="city").to_parquet(tmp_path / "current", index=False)
    said = [{"source": f"user{number}", "rows": 10, "negative": 9} for number in range(20)]
    (tmp_path / "feedback").write_text(json.dumps({"present": True, "rows": 200, "sources": said}))
    return {
        "reference": dsl.Dataset(name="reference", uri=str(tmp_path / "reference"), metadata={"present": True}),
        "current": dsl.Dataset(name="current", uri=str(tmp_path / "current"), metadata={}),
        "model": absent(tmp_path, dsl.Model, "model"),
        "baseline": absent(tmp_path, dsl.Artifact, "baseline"),
        "feedback": dsl.Artifact(name="feedback", uri=str(tmp_path / "feedback"), metadata={"present": True}),
    }


def run_three(folder: Path, inputs: dict[str, Any], **common: Any) -> str:
    columns = {"target_column": "rain", "timestamp_column": "time"}
    found = outputs(folder, "drift_result", "drift_report", "drift_metrics", "performance_result", "performance_report", "performance_metrics")
    drift = {"drift_result": found["drift_result"], "drift_report": found["drift_report"], "metrics": found["drift_metrics"]}
    config = "detectors: profile"
    detect_drift.python_func(
        reference_data=inputs["reference"], current_data=inputs["current"], model=inputs["model"], config=config, **drift, **columns, **common
    )
    scored = {"performance_result": found["performance_result"], "performance_report": found["performance_report"], "metrics": found["performance_metrics"]}
    monitor_performance.python_func(model=inputs["model"], baseline=inputs["baseline"], current_data=inputs["current"], **scored, **columns, **common)
    results = {name: found[name] for name in ("drift_result", "performance_result")}
    written = outputs(folder, "decision", "decision_report")
    return str(decide_retraining.python_func(baseline=inputs["baseline"], feedback=inputs["feedback"], **results, **written, **common))


def run_one(folder: Path, inputs: dict[str, Any], **common: Any) -> str:
    given = {"reference_data": inputs["reference"], "current_data": inputs["current"], **{name: inputs[name] for name in ("baseline", "model", "feedback")}}
    names = [name for name, spec in watch_model.component_spec.outputs.items() if name != "Output"]
    written = outputs(folder, *names)
    return str(watch_model.python_func(**given, **written, target_column="rain", timestamp_column="time", drift_config="detectors: profile", **common))


def test_it_writes_and_records_what_the_three_do(tmp_path: Path, inputs: dict[str, Any]) -> None:
    answers, records = [], []
    for name, watch in (("three", run_three), ("one", run_one)):
        folder = tmp_path / name
        folder.mkdir()
        answers.append(watch(folder, inputs, ledger_uri=str(folder / "ledger"), run_id="run-1"))
        steps = {path.stem: json.loads(path.read_text()) for path in (folder / "ledger" / "runs" / "run-1").glob("*.json")}
        records.append({step: {key: value for key, value in record.items() if key not in TIMES} for step, record in steps.items()})
    assert answers[0] == answers[1]
    assert set(records[1]) == {"detect_drift", "monitor_performance", "decide_retraining"}
    assert records[0] == records[1]
    assert records[1]["detect_drift"]["outcome"] == "drift"
    assert "fired" in [item["verdict"] for item in records[1]["decide_retraining"]["details"]["triggers"] if item["name"] == "feedback"]
    for result in ("drift_result", "performance_result", "decision"):
        assert json.loads((tmp_path / "one" / result).read_text()) == json.loads((tmp_path / "three" / result).read_text())
    for report in ("drift_report", "performance_report", "decision_report"):
        assert (tmp_path / "one" / report).read_text().startswith("<!")


def test_an_error_in_the_last_of_the_three_keeps_what_the_others_found(tmp_path: Path, inputs: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        run_one(tmp_path, inputs, mode="always", ledger_uri=str(tmp_path / "ledger"), run_id="run-1")
    states = {path.stem: json.loads(path.read_text())["state"] for path in (tmp_path / "ledger" / "runs" / "run-1").glob("*.json")}
    assert states == {"detect_drift": "succeeded", "monitor_performance": "succeeded", "decide_retraining": "failed"}
    assert not (tmp_path / "decision").exists()


def test_it_is_marked_as_deprecated_and_stays_importable() -> None:
    assert "Deprecated, use assess_model" in str(watch_model.python_func.__doc__)
    assert "Deprecated, use assess_model" in (ROOT / "components/evergreen/watching/watch_model.yaml").read_text().partition("\ncomponents:")[0]
    executor = MessageToDict(watch_model.pipeline_spec)["deploymentSpec"]["executors"]["exec-watch-model"]
    assert executor["container"]["image"] == DRIFT_IMAGE
