"""What the record of a run says, whatever the steps left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from evergreen.errors import StateError
from evergreen.reporting.component import record_run
from evergreen.reporting.run_metrics import run_metrics
from evergreen.reporting.run_page import run_page
from evergreen.reporting.summary import DEPLOYED as DEPLOYMENTS
from evergreen.reporting.summary import OTHER_PIPELINES, RunSummary, summarise_run
from evergreen.results.repair import NOT_REPAIRED
from evergreen.runs.records import StepRecord, reported_step
from evergreen.storage.opening import open_store
from reporting.degraded_runs import looked


def step(name: str, outcome: str = "", state: str = "succeeded", second: int = 0, **more: Any) -> StepRecord:
    return StepRecord(name, state=state, outcome=outcome, started_at=f"2024-01-01T00:00:{second:02d}.000Z", duration_s=2.0, **more)


LOADED = step("load_champion", details={"champion_version": "3"})
RETRAIN = step("decide_retraining", "retrain", second=5, details={"decision": "retrain", "reasons": ["Accuracy fell."]})
PASSED = step("evaluate_challenger", "promote", second=10, details={"verdict": "promote", "challenger_score": 0.78})
DEPLOYED = step("deploy_model", "promoted", second=20, details={"outcome": "promoted", "champion_before": "3", "champion_after": "4"})


@pytest.mark.parametrize(
    ("records", "outcome", "after"),
    [
        ([LOADED, step("decide_retraining", "keep"), step("keep_champion")], "kept", "3"),
        ([LOADED, RETRAIN, step("evaluate_challenger", "reject"), step("reject_challenger")], "rejected", "3"),
        ([LOADED, RETRAIN, step("evaluate_model", "reject")], "rejected", "3"),
        ([LOADED, RETRAIN, PASSED, DEPLOYED], "promoted", "4"),
        ([LOADED, RETRAIN, PASSED, step("deploy_model", "dry run")], "dry run", "3"),
        ([LOADED, RETRAIN, PASSED, step("deploy_model", "waiting for approval")], "waiting for approval", "3"),
        ([LOADED, RETRAIN, PASSED, step("deploy_model", "already champion", details={"champion_after": "3"})], "already champion", "3"),
        ([LOADED, RETRAIN, PASSED], "failed", "3"),
        ([LOADED, RETRAIN], "failed", "3"),
        ([LOADED, step("train_challenger", state="failed", error="TrainingError: no rows")], "failed", "3"),
        ([LOADED, RETRAIN, PASSED, DEPLOYED, step("later", state="failed", error="X: y")], "failed", "4"),
        ([LOADED, step("train_challenger", state="running")], "failed", "3"),
        ([LOADED, step("choose_candidate"), step("train_challenger")], "searched", "3"),
        ([LOADED, step("choose_candidate")], "failed", "3"),
        ([LOADED, step("merge_profiles"), step("detect_drift", "drift")], "drift measured", "3"),
        ([LOADED, step("merge_profiles")], "failed", "3"),
        ([step("roll_back_model")], "rolled back", "none"),
        ([], "failed", "none"),
    ],
)
def test_the_outcome_comes_from_what_the_steps_wrote(records: list[StepRecord], outcome: str, after: str) -> None:
    summary = summarise_run(records)
    assert (summary.outcome, summary.champion_after) == (outcome, after)
    assert summary.status == ("failed" if outcome == "failed" else "succeeded")
    assert bool(summary.error) is (outcome == "failed")


@pytest.mark.parametrize("name", ["evaluate_challenger", "evaluate_model"])
def test_the_evaluation_is_found_under_the_steps_name_and_the_components(name: str) -> None:
    assert summarise_run([LOADED, RETRAIN, step(name, "promote", details={"verdict": "promote"})]).to_json()["evaluation"]["verdict"] == "promote"


@pytest.mark.parametrize(
    ("records", "failure", "outcome", "error"),
    [
        ([], "", "completed", ""),
        ([step("detect_drift", "drift")], "", "completed", ""),
        ([LOADED, RETRAIN, PASSED, DEPLOYED], "", "promoted", ""),
        ([], "Step say failed with exit status 1.", "failed", "Step say failed with exit status 1."),
        ([LOADED, RETRAIN, PASSED, DEPLOYED], "Step mail failed with exit status 1.", "failed", "Step mail failed with exit status 1."),
        # What a step says of itself is more than its exit status.
        ([step("train_challenger", state="failed", error="no rows")], "Step train failed with exit status 1.", "failed", "train_challenger: no rows"),
        ([step("detect_drift", state="running")], "", "failed", "detect_drift: started at 2024-01-01T00:00:00.000Z and never ended"),
    ],
)
def test_whoever_ran_all_steps_knows_whether_they_ended_well(records: list[StepRecord], failure: str, outcome: str, error: str) -> None:
    summary = summarise_run(records, failure=failure)
    assert summary.outcome == outcome
    assert summary.status == ("failed" if outcome == "failed" else "succeeded")
    assert summary.error.startswith(error)
    assert bool(summary.error) is bool(error)
    if DEPLOYED in records:
        assert summary.champion_after == "4"


def test_the_summary_holds_reasons_evaluation_and_duration() -> None:
    summary = summarise_run([LOADED, RETRAIN, PASSED, DEPLOYED])
    assert (summary.decision, summary.reasons, summary.evaluation and summary.evaluation.challenger_score) == ("retrain", ["Accuracy fell."], 0.78)
    assert (summary.started_at, summary.duration_s) == ("2024-01-01T00:00:00.000Z", 22.0)


def run_component(folder: Path, run_id: str = "run-1", **status: str) -> tuple[dict[str, Any], str]:
    final = {"state": "SUCCEEDED", "pipeline_job_resource_name": "r", "pipeline_task_name": "t", "error_code": None, "error_message": None, **status}
    report = dsl.HTML(name="report", uri=str(folder / "report"), metadata={})
    metrics = dsl.Metrics(name="metrics", uri=str(folder / "metrics"), metadata={})
    record_run.python_func(
        run_report=report,
        run_metrics=metrics,
        status=dsl.PipelineTaskFinalStatus(**final),
        model_name="rain",
        tracking_uri="http://user:secret@mlflow:5000",
        ledger_uri=str(folder / "ledger"),
        run_id=run_id,
    )
    summary = json.loads((folder / f"ledger/runs/{run_id}.json").read_text())
    page = (folder / f"ledger/runs/{run_id}.html").read_text()
    assert page == Path(report.path).read_text()
    assert sorted(metrics.metadata)[0] == f"Outcome: {summary['outcome']}", "the outcome comes first in the UI's alphabetical order"
    assert metrics.metadata[f"Outcome: {summary['outcome']}"] == 1.0
    return summary, page


def write_steps(folder: Path) -> None:
    place = {"ledger_uri": str(folder / "ledger"), "run_id": "run-1"}
    with reported_step(**place, step_name="load_champion") as record:
        record.details = {"champion_version": "3", "fit_end": "1981-01-01T00:00:00Z"}
    with reported_step(**place, step_name="decide_retraining") as record:
        record.outcome, record.details = "keep", {"decision": "keep", "reasons": ["Accuracy holds & <b>more</b>."]}
        record.reports = {"decision_report": "https://store/report.html"}


def test_a_kept_champion_is_recorded_and_reported(tmp_path: Path) -> None:
    write_steps(tmp_path)
    summary, page = run_component(tmp_path)
    assert (summary["outcome"], summary["champion_after"], summary["model_name"]) == ("kept", "3", "rain")
    assert [entry["step_name"] for entry in summary["steps"]] == ["load_champion", "decide_retraining"]
    assert "Version 3 remains the champion." in page
    assert "Accuracy holds &amp; &lt;b&gt;more&lt;/b&gt;." in page
    assert '<a href="https://store/report.html">decision report</a>' in page
    assert "secret" not in page


def test_a_degraded_champion_that_stays_is_in_summary_page_metrics_and_the_steps_own_record(tmp_path: Path) -> None:
    place = {"ledger_uri": str(tmp_path / "ledger"), "run_id": "run-1"}
    for given in looked():
        with reported_step(**place, step_name=given.step_name) as record:
            record.outcome, record.details = given.outcome, given.details
    report = dsl.HTML(name="report", uri=str(tmp_path / "report"), metadata={})
    metrics = dsl.Metrics(name="metrics", uri=str(tmp_path / "metrics"), metadata={})
    record_run.python_func(run_report=report, run_metrics=metrics, status=None, model_name="rain", **place)
    assert {name: metrics.metadata[name] for name in ("Outcome: degraded and not repaired", "degraded and not repaired")} == {
        "Outcome: degraded and not repaired": 1.0,
        "degraded and not repaired": 1.0,
    }
    assert "Degraded since 2 October 2021, not repaired." in (tmp_path / "ledger/runs/run-1.html").read_text()
    summary = json.loads((tmp_path / "ledger/runs/run-1.json").read_text())
    own = json.loads((tmp_path / "ledger/runs/run-1/record_run.json").read_text())
    assert (summary["outcome"], summary["status"], own["outcome"]) == (NOT_REPAIRED, "succeeded", NOT_REPAIRED)
    assert summary["repair"] == own["details"]["repair"]
    assert [setting["name"] for setting in summary["repair"]["settings"]] == ["hysteresis.needed", "policy_mode"]


def test_a_failed_step_is_shown_in_full(tmp_path: Path) -> None:
    write_steps(tmp_path)
    with pytest.raises(RuntimeError), reported_step(ledger_uri=str(tmp_path / "ledger"), run_id="run-1", step_name="train_challenger"):
        raise RuntimeError("the disk\nis full")
    summary, page = run_component(tmp_path, state="FAILED", error_message="task failed")
    assert summary["outcome"] == "failed"
    assert summary["error"] == "train_challenger: RuntimeError: the disk\nis full\nKFP reports: task failed"
    assert "the disk\nis full" in page


def test_a_run_without_any_step_is_a_failed_run(tmp_path: Path) -> None:
    summary, page = run_component(tmp_path)
    assert summary["outcome"] == "failed"
    assert "before its first step started" in page


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"step_name": 3}', b'{"surprise": 1}', b"\xff\xfe\xff"])
def test_a_broken_record_is_said_and_hides_no_other(tmp_path: Path, content: bytes) -> None:
    write_steps(tmp_path)
    open_store(str(tmp_path / "ledger")).write("runs/run-1/broken.json", content)
    summary, page = run_component(tmp_path)
    assert summary["outcome"] == "kept"
    assert "runs/run-1/broken.json cannot be read" in page


def test_a_run_id_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"id '\.\./x'"):
        run_component(tmp_path, run_id="../x")


def test_without_a_ledger_the_report_is_written_all_the_same(tmp_path: Path) -> None:
    report = dsl.HTML(name="report", uri=str(tmp_path / "report"), metadata={})
    metrics = dsl.Metrics(name="metrics", uri=str(tmp_path / "metrics"), metadata={})
    record_run.python_func(run_report=report, run_metrics=metrics, status=None, model_name="rain")
    assert "No ledger was configured" in Path(report.path).read_text()


def test_a_result_that_cannot_be_read_is_named_and_hides_no_other() -> None:
    damaged = step("detect_drift", details={"verdict": "drift", "features": "many"})
    records = [LOADED, damaged, RETRAIN, PASSED, DEPLOYED]
    summary = summarise_run(records, run_id="run-1", model_name="rain")
    assert (summary.outcome, summary.status, summary.reasons) == ("promoted", "succeeded", ["Accuracy fell."])
    assert summary.problems == ["record of detect_drift: features is 'many'; expected a list. Make sure that it was written by detect_drift."]
    page = run_page(summary)
    assert "features is &#39;many&#39;; expected a list" in page
    assert "0.78" in page
    assert summary.to_json()["evaluation"]["challenger_score"] == 0.78


def test_a_run_without_an_evaluation_has_an_empty_one_in_its_summary() -> None:
    assert summarise_run([LOADED, step("decide_retraining", "keep")]).to_json()["evaluation"] == {}


DRIFTED = {"verdict": "drift", "features": [{"name": "a", "drift": True}, {"name": "b", "drift": False}]}


@pytest.mark.parametrize(
    ("records", "numbers"),
    [
        ([LOADED, step("decide_retraining", "keep")], {"Outcome: kept": 1.0}),
        (
            [
                LOADED,
                step("detect_drift", "drift", details=DRIFTED),
                step("monitor_performance", "holds", details={"verdict": "holds", "score": 0.75}),
                step("decide_retraining", "keep"),
            ],
            {"Outcome: kept": 1.0, "champion score now": 0.75, "features that drifted": 1.0},
        ),
        (
            [
                LOADED,
                RETRAIN,
                step(
                    "evaluate_challenger",
                    "promote",
                    details={**PASSED.details, "champion_score": 0.5, "difference": 0.28, "rows": 90},
                ),
                DEPLOYED,
            ],
            {"Outcome: promoted": 1.0, "challenger score": 0.78, "champion score": 0.5, "difference": 0.28},
        ),
        # "Cannot tell" is not "none drifted", and what was not measured is no number.
        (
            [LOADED, step("detect_drift", details={**DRIFTED, "verdict": "insufficient"}), RETRAIN, PASSED, step("deploy_model", "waiting for approval")],
            {"Outcome: waiting for approval": 1.0, "challenger score": 0.78},
        ),
        (
            [LOADED, step("monitor_performance", details={"verdict": "cannot tell", "score": None}), step("validate_window", state="failed", error="X: y")],
            {"Outcome: failed": 1.0},
        ),
        ([LOADED, step("detect_drift", details={"verdict": "drift", "features": "many"}), step("decide_retraining", "keep")], {"Outcome: kept": 1.0}),
    ],
)
def test_the_ui_shows_the_outcome_and_the_decisive_numbers(records: list[StepRecord], numbers: dict[str, float]) -> None:
    shown = run_metrics(summarise_run(records), records)
    assert {name: value for name, value in shown.items() if value is not None} == {**numbers, "degraded and not repaired": 0.0}
    assert sorted(shown)[0].startswith("Outcome: "), "the UI shows them in alphabetical order"


@pytest.mark.parametrize("outcome", ["failed", *DEPLOYMENTS, "kept", "rejected", NOT_REPAIRED, *OTHER_PIPELINES.values()])
def test_mlflow_takes_the_names_too(outcome: str) -> None:
    # KFP logs the numbers of Metrics artifacts to MLflow, which refuses a whole batch for one bad name.
    from mlflow.utils.validation import _validate_metric_name

    for name in run_metrics(RunSummary("run-1", "rain", outcome, "succeeded"), []):
        _validate_metric_name(name)
