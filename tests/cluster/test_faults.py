"""What may go wrong on a cluster: a run is stopped, a pod is lost, a server is away, a file is not there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cluster.kubectl import Kubectl, wait_for

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case

REPLAY = "backtest.replay_policy"
WAITING = "Waiting for the MLflow server"


def test_a_terminated_run_leaves_everything_as_it_was(cluster: Cluster, case: Case) -> None:
    model = cluster.model("terminated")
    run = cluster.start("terminated", model)
    wait_for("a step that runs", lambda: cluster.executors_at_work(run), timeout_s=300, pause_s=1)
    cluster.terminate(run)
    case.took(cluster.finish(run, expected="FAILED"))
    # KFP calls such a run failed; the command says what happened.
    assert run.said["outcome"] == "terminated"
    assert cluster.ledger(model).champion() == "none"
    assert "record_run" in cluster.records(run), "the last step, which records what the run did, was not run"


def test_a_lost_pod_is_started_again(cluster: Cluster, case: Case) -> None:
    run = cluster.start("backtest", "none", data_window_end="1998-01-01", data_history_days=17885)
    lost = wait_for("a replay that runs", lambda: cluster.executors_at_work(run, REPLAY), timeout_s=400, pause_s=0.3)[0]
    cluster.kubectl.run("delete", "pod", lost, "--grace-period=0", "--force")
    case.took(cluster.finish(run))
    case.note(f"lost {lost}")
    assert run.ended_workflow.attempts(REPLAY) == 4, "three policies are replayed, one of them twice"
    assert cluster.records(run)["report_backtest"].state == "succeeded"


def test_an_outage_of_the_registry_is_waited_for(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    settings = cluster.settings
    mlflow = Kubectl(settings.mlflow_namespace)
    before = len(cluster.ledger(lean_quiet_day.model).records())
    mlflow.run("scale", f"deployment/{settings.mlflow_deployment}", "--replicas=0")
    try:
        wait_for("MLflow's end", lambda: not _pods_of(mlflow, settings.mlflow_deployment), timeout_s=120)
        run = cluster.start("outage", lean_quiet_day.model)
        wait_for("a step that waits for MLflow", lambda: any(WAITING in log for log in cluster.logs(run).values()), timeout_s=300, pause_s=3)
        time.sleep(settings.outage_s)
    finally:
        mlflow.run("scale", f"deployment/{settings.mlflow_deployment}", "--replicas=1")
        mlflow.run("rollout", "status", f"deployment/{settings.mlflow_deployment}", "--timeout=300s", timeout_s=330)
    case.took(cluster.finish(run))
    told = [line for log in cluster.logs(run).values() for line in log.splitlines() if WAITING in line]
    assert told
    assert all("Next attempt in" in line and ", until 20" in line for line in told)
    assert set(run.ended_workflow.attempts_by_component().values()) == {1}, "the step waits by itself; its pod is not started again"
    assert cluster.summary(run).outcome == "kept"
    # One record of the decision, however often it was tried.
    assert len(cluster.ledger(lean_quiet_day.model).records()) == before + 1


def test_a_file_that_is_not_there_fails_at_once(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    model = lean_quiet_day.model
    run = case.took(cluster.finish(cluster.start("permanent fault", model), expected="FAILED"))
    failed = [record for record in cluster.records(run).values() if record.state == "failed"]
    assert failed
    assert all(record.duration_s is not None and record.duration_s < 5 for record in failed)
    attempts = run.ended_workflow.attempts_by_component()
    assert set(attempts.values()) == {1}, f"{attempts}: this cluster tries exit codes again (retryPolicy: OnFailure, see docs/cluster.md)"
    # One failed step, one message, which names the file.
    (failure,) = run.said["failures"]
    assert "there-is-no-such-file.parquet" in failure["error"]
    assert cluster.ledger(model).champion() == "1"


def _pods_of(kubectl: Kubectl, deployment: str) -> list[str]:
    found = kubectl.get("pods", "--selector", f"app.kubernetes.io/name={deployment}")["items"]
    return [pod["metadata"]["name"] for pod in found]
