"""Schedules, which have to look at the window of their slot, however they were made."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from cluster.kubectl import wait_for
from cluster.objects import gitops_objects, named_pipeline_source, schedule_job
from cluster.parameters import LEAN
from evergreen.submission.server_pipelines import equals, in_namespace, pages

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case

MINUTES = 2
CRON = f"*/{MINUTES} * * * *"
LONGEST_WAIT_S = 420.0


def create_command(name: str, parameter_file: Path, service_account: str, *, pipeline: str, track: str) -> list[str]:
    """Return the command that makes a schedule."""
    options = ["--cron", CRON, "--pipeline", pipeline, "--track", track, "--params", str(parameter_file), "--service-account", service_account, "--json"]
    return ["schedule", "create", name, *options]


def parameter_file(cluster: Cluster, model: str) -> Path:
    """Write the parameters of the schedules' runs."""
    file = cluster.folder / "scheduled.yaml"
    file.write_text(yaml.safe_dump(cluster.parameters("scheduled", model)))
    return file


def first_run_of(cluster: Cluster, schedule: str, name: str, model: str) -> Run:
    """Wait for the first run of a schedule, pause the schedule, and see the run succeed."""
    listed = json.loads(cluster.evergreen("schedule", "list", "--json").strip().splitlines()[0])
    (schedule_id,) = [entry["schedule_id"] for entry in listed if entry["name"] == schedule]

    def started() -> str | None:
        listed_runs = cluster.connection.runs.run_service_list_runs
        found = pages(listed_runs, "runs", filter=equals("recurring_run_id", schedule_id), **in_namespace(cluster.connection))
        return next((str(run.run_id) for run in found if run.recurring_run_id == schedule_id), None)

    try:
        run_id = wait_for(f"a run of schedule {schedule}", started, timeout_s=LONGEST_WAIT_S, pause_s=5)
    finally:
        cluster.evergreen("schedule", "pause", schedule)
    return cluster.finish(cluster.adopt(name, run_id, LEAN, model))


def slot_of(created_at: datetime) -> datetime:
    """Return the slot that a run is for, by the time of its creation."""
    return created_at.replace(second=0, microsecond=0) - timedelta(minutes=created_at.minute % MINUTES)


def window_end(cluster: Cluster, run: Run) -> datetime:
    """Return the end of the window that a run looked at."""
    text = cluster.records(run)["ingest_window"].details["window_end"]
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


@pytest.mark.parametrize("track", ["latest", "pinned"])
def test_a_scheduled_run_looks_at_its_slot(cluster: Cluster, lean_quiet_day: Run, case: Case, track: str) -> None:
    name = f"evergreen-{track}-{cluster.mark}"
    file = parameter_file(cluster, lean_quiet_day.model)
    cluster.evergreen(*create_command(name, file, cluster.settings.service_account, pipeline="lean-retraining", track=track))
    try:
        run = case.took(first_run_of(cluster, name, f"scheduled, {track}", lean_quiet_day.model))
        assert run.created_at is not None
        # KFP makes a run some seconds after its slot, and a busy controller may take longer than a slot lasts.
        assert window_end(cluster, run) in {slot_of(run.created_at), slot_of(run.created_at) - timedelta(minutes=MINUTES)}
        if track == "pinned" and run.scheduled_at is not None:
            assert window_end(cluster, run) == slot_of(run.scheduled_at)
        assert cluster.summary(run).outcome == "kept"
    finally:
        cluster.evergreen("schedule", "delete", name, "--yes")


def test_catching_up_with_the_newest_version_is_refused(cluster: Cluster, lean_quiet_day: Run) -> None:
    file = parameter_file(cluster, lean_quiet_day.model)
    name = f"evergreen-refused-{cluster.mark}"
    command = create_command(name, file, cluster.settings.service_account, pipeline="lean-retraining", track="latest")
    said = cluster.evergreen(*command, "--catch-up", status=2)
    assert "--track pinned" in said
    assert name not in cluster.evergreen("schedule", "list")


def test_gitops_objects_and_the_schedule_job(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    if not cluster.kubectl.exists("customresourcedefinitions", "pipelines.pipelines.kubeflow.org"):
        pytest.skip("this Kubeflow Pipelines keeps its pipelines in a database")
    pipeline = f"evergreen-gitops-{cluster.mark}"
    source = named_pipeline_source(LEAN, pipeline, cluster.folder)
    compiled = cluster.compile(source, cluster.folder / "objects.yaml", "--objects", "--namespace", cluster.settings.namespace)
    parameters = cluster.parameters("scheduled", lean_quiet_day.model)
    objects = gitops_objects(compiled)
    job = schedule_job(cluster.settings, pipeline=pipeline, name=pipeline, cron=CRON, parameters=parameters)
    try:
        cluster.kubectl.apply(*objects)
        cluster.kubectl.apply(*job)
        run_job(cluster, pipeline)
        # Applied again, as after every sync of a repository in which nothing has changed.
        cluster.kubectl.delete("job", pipeline)
        cluster.kubectl.apply(*job)
        assert "Nothing changes." in run_job(cluster, pipeline)
        run = case.took(first_run_of(cluster, pipeline, "GitOps", lean_quiet_day.model))
        assert cluster.summary(run).outcome == "kept"
    finally:
        cluster.evergreen("schedule", "delete", pipeline, "--yes")
        for found in [*job, *reversed(objects)]:
            cluster.kubectl.delete(found["kind"], found["metadata"]["name"])


def run_job(cluster: Cluster, name: str) -> str:
    """Wait until a job is through, and return what it has printed."""
    cluster.kubectl.run("wait", "--for=condition=complete", "--timeout=300s", f"job/{name}", timeout_s=330)
    return cluster.kubectl.text("logs", f"job/{name}")
