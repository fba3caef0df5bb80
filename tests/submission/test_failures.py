"""What submit says of runs that did not succeed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.submission import run_records
from evergreen.submission.connection import connect
from evergreen.submission.failures import run_failures
from evergreen.submission.run_records import read_run_records
from evergreen.submission.runs import ending, step_names, step_states
from submission.kfp_runs import Script
from submission.recordings import recorded_run
from support.commands import Finished, evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer

TWO_STEPS = """
from kfp import dsl


@dsl.component(base_image="python:3.11-slim")
def ingest_data(text: str, step_name: str = "ingest_data") -> str:
    return text


@dsl.component(base_image="python:3.11-slim")
def train_model(text: str, step_name: str = "train_model") -> str:
    return text


@dsl.component(base_image="python:3.11-slim")
def record_run(step_name: str = "record_run"):
    print(step_name)


@dsl.pipeline(name="evergreen-test-failures")
def example(model_name: str = "rain", state_ledger_uri: str = "none"):
    last = record_run().set_display_name("Record run").set_caching_options(False)
    with dsl.ExitHandler(last, name="Keep the model fresh"):
        rows = ingest_data(text=model_name, step_name="ingest_window").set_display_name("Ingest newest window").set_caching_options(False)
        train_model(text=rows.output).set_display_name("Train challenger").set_caching_options(False)
"""
LOG = "start\nTraceback (most recent call last):\n  File 'x'\nevergreen.IngestionError: source '/x': no such file. Give a path.\nF1129 02:06:25 1 m.go:5] x\n"
ERROR = "evergreen.IngestionError: source '/x': no such file. Give a path."
SPEC: dict[str, Any] = {
    "root": {"dag": {"tasks": {name: {"componentRef": {"name": "c"}, "taskInfo": {"name": name.capitalize()}} for name in ("ingest-data", "load-champion")}}},
    "components": {"c": {"executorLabel": "e"}},
}


@pytest.fixture
def two_steps(tmp_path: Path) -> Path:
    path = tmp_path / "two_steps.py"
    path.write_text(TWO_STEPS)
    return path


def submit(path: Path, *more: str) -> Finished:
    return evergreen("submit", str(path), "--poll-seconds", "0.05", *more)


def write_record(ledger: Path, run_id: str, step_name: str, **fields: Any) -> None:
    folder = ledger / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    record = {"step_name": step_name, "state": "failed", "started_at": "2026-01-01T00:00:00Z", **fields}
    (folder / f"{step_name}.json").write_text(json.dumps(record))


def test_a_failed_step_is_told_with_its_error_what_to_do_and_its_report(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(outcome="FAILED", log=LOG)
    finished = submit(two_steps, "-p", "state_ledger_uri=/absent/ledger")
    assert finished.status == 1
    (run,) = kfp.runs
    assert f"Run {run} has ended: failed" in finished.stdout
    assert f"✗ Ingest newest window: {ERROR}\n" in finished.stdout
    assert "  What to do: Follow the advice in the message" in finished.stdout
    assert f"  Report: /absent/ledger/runs/{run}.html" in finished.stdout
    # Steps after it were left out; the exit task was not.
    assert [line.split()[-2:] for line in finished.stdout.splitlines() if "Train challenger" in line] == [["not", "started"]]
    assert not any(" running" in line for line in finished.stdout.split("has ended")[1].splitlines())


def test_a_program_gets_the_same(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(outcome="FAILED", log=LOG)
    finished = submit(two_steps, "--json")
    assert finished.status == 1
    told = finished.json
    assert (told["state"], told["outcome"], told["error"], told["states_frozen"]) == ("FAILED", "failed", ERROR, False)
    (failure,) = told["failures"]
    assert (failure["step"], failure["error"], failure["cause"], failure["source"], failure["report"]) == ("Ingest newest window", ERROR, "error", "log", "")
    assert [(step["step"], step["state"]) for step in told["steps"]] == [
        ("Ingest newest window", "FAILED"),
        ("Train challenger", "NOT_STARTED"),
        ("Record run", "SUCCEEDED"),
    ]
    assert all(step["seconds"] is None or 0 <= step["seconds"] < 60 for step in told["steps"])


def test_a_run_that_succeeds_has_no_failures(kfp: KfpServer, two_steps: Path) -> None:
    told = submit(two_steps, "--json").json
    assert (told["state"], told["outcome"], told["error"], told["failures"]) == ("SUCCEEDED", "succeeded", None, [])
    assert not any("/log" in path for _, path in kfp.requests)


def test_the_runs_own_record_is_the_best_source(kfp: KfpServer, two_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kfp.script = Script(outcome="FAILED", log=LOG)
    ledger = tmp_path / "ledger"
    started = kfp.run_from

    def start(wanted: Any) -> Any:
        run = started(wanted)
        write_record(ledger, run.run_id, "ingest_window", error="IngestionError: from the record.", reports={"report": f"{ledger}/kept.html"})
        write_record(ledger, run.run_id, "load_champion", state="succeeded")
        (ledger / "runs" / run.run_id / "damaged.json").write_text("{")
        return run

    monkeypatch.setattr(kfp, "run_from", start)
    told = submit(two_steps, "-p", f"state_ledger_uri=mlflow+{ledger}", "--json").json
    (failure,) = told["failures"]
    assert (failure["step"], failure["error"], failure["source"]) == ("Ingest newest window", "IngestionError: from the record.", "record")
    assert failure["report"] == f"{ledger}/kept.html"
    assert not any("/log" in path for _, path in kfp.requests)


def test_a_step_that_stands_for_several_is_told_once_with_the_part_that_failed(kfp: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "looks_once.py"
    path.write_text(TWO_STEPS.replace("ingest_data", "assess_model").replace(', step_name="ingest_window"', "").replace("Ingest newest window", "Assess model"))
    # The tests' KFP lets the step fail that these pipelines begin with.
    kfp.script = Script(outcome="FAILED", log=LOG)
    started = kfp.run_from

    def start(wanted: Any) -> Any:
        run = started(wanted)
        write_record(tmp_path, run.run_id, "load_champion", state="succeeded")
        write_record(tmp_path, run.run_id, "ingest_window", error="IngestionError: from the record.")
        return run

    monkeypatch.setattr(kfp, "run_from", start)
    told = submit(path, "-p", f"state_ledger_uri={tmp_path}", "--json").json
    (failure,) = told["failures"]
    assert (failure["step"], failure["error"], failure["source"]) == ("Assess model: ingest_window", "IngestionError: from the record.", "record")


@pytest.mark.parametrize("ledger", ["gs://bucket-that-nobody-has/x", "ftp://nowhere/x", "s3://", "/proc/version/x", "a\0b"])
def test_a_ledger_that_cannot_be_read_changes_nothing(kfp: KfpServer, two_steps: Path, monkeypatch: pytest.MonkeyPatch, ledger: str) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/absent.json")
    kfp.script = Script(outcome="FAILED", log=LOG)
    finished = submit(two_steps, "-p", f"state_ledger_uri={ledger}", "--json")
    assert finished.status == 1
    assert [(failure["error"], failure["source"]) for failure in finished.json["failures"]] == [(ERROR, "log")]


def test_a_ledger_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("evergreen.storage.opening.open_store", lambda _uri: release.wait(30))
    records = read_run_records("gs://slow/x", "run-1", patience_s=0.05)
    release.set()
    assert (records.steps, records.report) == ([], "gs://slow/x/runs/run-1.html")
    assert run_records.PATIENCE_S <= 30


def test_without_a_log_the_command_is_named_that_may_find_it(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(outcome="FAILED", log=None)
    (failure,) = submit(two_steps, "--json").json["failures"]
    (workflow,) = kfp.workflows.values()
    assert failure["error"] == "It failed, and its log is not available from KFP."
    assert f"kubectl logs -n kubeflow -l workflows.argoproj.io/workflow={workflow.name}" in failure["advice"]


def test_a_step_that_was_killed_is_told_from_one_that_failed(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(outcome="FAILED", log="Fitting 3 of 10\n")
    (failure,) = submit(two_steps, "--json").json["failures"]
    assert failure["cause"] == "killed"
    assert "its log ends with: Fitting 3 of 10" in failure["error"]
    assert "memory or time" in failure["advice"]
    assert next(iter(kfp.workflows.values())).failing_pod in failure["advice"]


def test_a_pod_that_kubernetes_refused_is_said_as_such(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(outcome="FAILED", failing="train-model", pod_refused=True)
    (failure,) = submit(two_steps, "--json").json["failures"]
    assert (failure["step"], failure["cause"]) == ("Train challenger", "pod refused")
    assert "Kubernetes rejected its pod" in failure["error"]
    assert "kubectl describe workflow evergreen-test-failures-" in failure["advice"]
    assert not any("/log" in path for _, path in kfp.requests)


def test_a_step_that_kfps_driver_could_not_start_is_said_as_such(kfp: KfpServer, two_steps: Path) -> None:
    log = "F1129 02:06:25.000000      16 main.go:79] KFP driver: driver.Container failed: secret name is empty\n"
    kfp.script = Script(outcome="FAILED", driver_fails=True, log=log)
    told = submit(two_steps, "--json").json
    (failure,) = told["failures"]
    assert (failure["step"], failure["cause"]) == ("Ingest newest window", "driver")
    assert failure["error"] == "KFP could not start it: KFP driver: driver.Container failed: secret name is empty"
    assert "secret_name" in failure["advice"]
    assert {step["state"] for step in told["steps"] if step["step"] != "Record run"} == {"NOT_STARTED"}


def test_a_terminated_run_did_not_fail(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(outcome="TERMINATED")
    finished = submit(two_steps, "--json")
    assert finished.status == 1
    assert (finished.json["state"], finished.json["outcome"]) == ("FAILED", "terminated")
    assert "has ended: terminated" in finished.stderr
    assert "has ended: failed" not in finished.stderr
    (failure,) = finished.json["failures"]
    assert failure["cause"] == "stopped"


def test_states_that_stopped_coming_are_not_shown_as_if_they_were_new(kfp: KfpServer, two_steps: Path) -> None:
    kfp.script = Script(frozen_after=16)
    finished = submit(two_steps, "-p", "state_ledger_uri=gs://bucket/ledger", "--json")
    assert finished.status == 0
    told = finished.json
    assert (told["outcome"], told["states_frozen"]) == ("succeeded", True)
    assert {step["state"] for step in told["steps"]} <= {"SUCCEEDED", "UNKNOWN", "NOT_STARTED"}
    assert "UNKNOWN" in {step["state"] for step in told["steps"]}
    (notice,) = [line for line in finished.stderr.splitlines() if "Updates of step states stopped" in line]
    assert "1 MiB" in notice
    assert f"gs://bucket/ledger/runs/{told['run_id']}.html" in notice


def test_a_failed_run_whose_states_stopped_coming_is_told_from_its_records(
    kfp: KfpServer, two_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.script = Script(outcome="FAILED", failing="train-model", frozen_after=16)
    started = kfp.run_from

    def start(wanted: Any) -> Any:
        run = started(wanted)
        write_record(tmp_path, run.run_id, "train_model", error="TrainingError: no rows.")
        return run

    monkeypatch.setattr(kfp, "run_from", start)
    told = submit(two_steps, "-p", f"state_ledger_uri={tmp_path}", "--json").json
    assert [(failure["step"], failure["error"]) for failure in told["failures"]] == [("Train challenger", "TrainingError: no rows.")]
    unreadable = submit(two_steps, "-p", "state_ledger_uri=/absent/ledger", "--json").json
    (failure,) = unreadable["failures"]
    assert failure["error"] == "KFP does not say which step failed."
    assert "kubectl logs" in failure["advice"]
    assert failure["report"].startswith("/absent/ledger/runs/")


def test_the_recorded_failures_are_told(kfp: KfpServer) -> None:
    connection = connect(kfp.host)
    failed, refused = recorded_run("run_failed"), recorded_run("run_failed_pod_invalid")
    (failure,) = run_failures(connection, failed, SPEC)
    assert (failure.step, failure.cause) == ("Ingest-data", "unknown")
    assert "workflow=continuous-retraining-7fqr5" in failure.advice
    assert failure.report == "/var/lib/evergreen/ledger/runs/88597ad4-a6ba-42c0-a75c-81a79a910cc0.html"
    (failure,) = run_failures(connection, refused, SPEC)
    assert (failure.step, failure.cause) == ("Load-champion", "pod refused")
    assert (ending(failed), ending(refused)) == ("failed", "terminated")
    asked = [path for method, path in kfp.requests if path.endswith("/log")]
    assert asked[0].endswith("/nodes/continuous-retraining-7fqr5-retry-system-container-impl-1077178750/log")


@pytest.mark.parametrize("name", ["run_failed", "run_failed_pod_invalid", "run_succeeded_states_frozen", "run_running"])
def test_no_recorded_run_has_absurd_durations_or_works_after_its_end(name: str, repository: Path) -> None:
    import yaml

    run = recorded_run(name)
    for pipeline in ("continuous_retraining", "lean_retraining"):
        states = step_states(run, step_names(next(yaml.safe_load_all((repository / "pipelines" / f"{pipeline}.yaml").read_text()))))
        assert all(step.seconds is None or 0 <= step.seconds < 600 for step in states)
        if name != "run_running":
            assert {step.state for step in states} <= {"SUCCEEDED", "FAILED", "SKIPPED", "NOT_STARTED", "UNKNOWN"}
