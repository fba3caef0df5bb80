from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evergreen.submission import standstill
from evergreen.submission.runs import step_states
from evergreen.submission.standstill import Standstill, frozen_notice, states_frozen
from submission.kfp_runs import Script
from submission.recordings import recorded_run
from support.commands import evergreen

if TYPE_CHECKING:
    from pathlib import Path

    from submission.kfp_server import KfpServer

NAMES = {"load-champion": "Load champion", "ingest-data": "Ingest newest window", "detect-drift": "Detect drift"}


def test_a_standstill_is_said_once_and_why() -> None:
    now = [0.0]
    watch = Standstill(clock=lambda: now[0])
    run = recorded_run("run_succeeded_states_frozen")
    run.state = "RUNNING"
    notices = []
    for seconds in (0, 100, 299, 301, 400, 5000):
        now[0] = seconds
        notices.append(watch.look(run, NAMES))
    assert [notice is None for notice in notices] == [True, True, True, False, True, True]
    assert "for 5 minutes" in str(notices[3])
    assert "1 MiB" in str(notices[3])
    assert "waiting for capacity" in str(notices[3])


def test_a_step_may_take_its_time_and_a_change_starts_the_wait_anew() -> None:
    now = [0.0]
    watch = Standstill(clock=lambda: now[0])
    run = recorded_run("run_running")
    assert watch.look(run, NAMES) is None
    now[0] = 1700
    assert watch.look(run, NAMES) is None
    run.run_details.task_details[0].state = "FAILED"
    now[0] = 1801
    assert watch.look(run, NAMES) is None
    now[0] = 3700
    assert "Ingest newest window and Load champion may simply take that long" in str(watch.look(run, NAMES))


def test_a_run_whose_tasks_are_not_known_yet_stands_not_still() -> None:
    now = [0.0]
    watch = Standstill(clock=lambda: now[0])
    run = recorded_run("run_running")
    run.run_details = None
    for seconds in (0, 10_000):
        now[0] = seconds
        assert watch.look(run, NAMES) is None


@pytest.mark.parametrize(("name", "frozen"), [("run_succeeded_states_frozen", True), ("run_failed", False), ("run_failed_pod_invalid", False)])
def test_states_of_a_run_that_ended_are_old_or_not(name: str, *, frozen: bool) -> None:
    assert states_frozen(recorded_run(name)) is frozen


def test_the_recorded_standstill_is_told_with_its_time_and_where_to_look() -> None:
    run = recorded_run("run_succeeded_states_frozen")
    notice = frozen_notice(run)
    assert "Updates of step states stopped at 02:01:" in notice
    assert f"/var/lib/evergreen/ledger/runs/{run.run_id}.html" in notice
    del run.runtime_config.parameters["state_ledger_uri"]
    assert "kubectl get pods -l workflows.argoproj.io/workflow=continuous-retraining-bfz58" in frozen_notice(run)
    states = {step.state for step in step_states(run, {**NAMES, "ingest-data-2-driver": "Ingest training window"})}
    assert states == {"SUCCEEDED", "UNKNOWN"}


def test_submit_says_while_it_follows_that_nothing_comes(kfp: KfpServer, pipeline_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "PATIENCE_S", 0.0)
    kfp.script = Script(frozen_after=6)
    finished = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--poll-seconds", "0.05")
    assert finished.status == 0
    assert finished.stdout.count("No step has changed its state") == 1
    assert finished.stdout.count("Updates of step states stopped") == 1
