"""Predictions, late labels and feedback in a pipeline of one's own, run by KFP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from kfp import dsl

from evergreen import batch_predict, decide_retraining, join_labels, monitor_performance, read_feedback
from support.local_runs import run_here

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = "2020-06-01T00:00:00Z"


def test_logged_predictions_labels_and_feedback_reach_the_decision(
    tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]
) -> None:
    make_model("champion", make_events(days=120, seed=1), fit_end=CUT)
    rows = make_events(start="2020-06-01", days=30, seed=5).assign(id=lambda frame: range(len(frame)))
    rows.drop(columns="rain").to_parquet(tmp_path / "rows", index=False)
    rows[["id", "rain"]].assign(known_at=rows["time"] + pd.Timedelta(days=2)).head(100).to_parquet(tmp_path / "labels", index=False)
    said = [f"2020-06-{1 + number % 28:02d}T00:00:00Z,user{number % 40},complaint" for number in range(400)]
    (tmp_path / "feedback.csv").write_text("\n".join(["time,source,kind", *said]))
    (tmp_path / "baseline").write_text(json.dumps({"present": True, "version": "3", "metric": "accuracy", "score": 0.88, "lower": 0.85, "upper": 0.91}))
    (tmp_path / "drift").write_text(json.dumps({"verdict": "no drift", "rows": {"current": 120}}))
    ledger, folder, columns = str(tmp_path / "ledger"), str(tmp_path), {"target_column": "rain", "timestamp_column": "time"}

    @dsl.pipeline(name="late-labels")
    def late_labels():
        reports = {"ledger_uri": ledger, "run_id": "run-1"}

        def imported(name: str, kind: Any, **metadata: str) -> Any:
            return dsl.importer(artifact_uri=f"{folder}/{name}", artifact_class=kind, metadata=metadata, reimport=True).output

        champion, baseline = imported("champion", dsl.Model, version="3", model_name="rain"), imported("baseline", dsl.Artifact)
        logged = batch_predict(
            model=champion, data=imported("rows", dsl.Dataset), key_column="id", timestamp_column="time", predicted_at="event_time", **reports
        )
        joined = join_labels(
            prediction_log=logged.outputs["prediction_log"],
            labels=imported("labels", dsl.Dataset),
            key_column="id",
            label_time_column="known_at",
            **columns,
            **reports,
        )
        watched = monitor_performance(
            model=champion, baseline=baseline, current_data=joined.outputs["labelled_data"], predictions="logged", **columns, **reports
        )
        heard = read_feedback(source_uri=f"{folder}/feedback.csv", **reports)
        for name, more in (("with", {"feedback": heard.outputs["feedback"]}), ("without", {})):
            decide_retraining(
                drift_result=imported("drift", dsl.Artifact),
                performance_result=watched.outputs["performance_result"],
                baseline=baseline,
                policy_config="{hysteresis: {needed: 1, windows: 1}}",
                step_name=f"decide_{name}",
                **more,
                **reports,
            )

    run_here(late_labels, tmp_path / "root")
    records = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "ledger" / "runs" / "run-1").glob("*.json")}
    outcomes = {name: record["outcome"] for name, record in records.items()}
    assert outcomes == {
        "batch_predict": "predicted",
        "join_labels": "joined",
        "monitor_performance": "holds",
        "read_feedback": "feedback",
        "decide_with": "retrain",
        "decide_without": "keep",
    }
    assert records["batch_predict"]["details"]["model_version"] == "3"
    assert (records["monitor_performance"]["details"]["rows"], records["monitor_performance"]["details"]["rows_unlabelled"]) == (100, 20)
    assert records["decide_with"]["details"]["rule"] == "feedback"


def test_the_pipeline_gives_its_policy_to_the_step_that_watches(repository: Path) -> None:
    spec = next(yaml.safe_load_all((repository / "pipelines" / "continuous_retraining.yaml").read_text()))
    task = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["monitor-performance"]
    assert task["inputs"]["parameters"]["policy_config"]["componentInputParameter"].endswith("policy_config")
    assert len(spec["root"]["inputDefinitions"]["parameters"]) == 26
