"""The pods of steps, from what a real server told of its runs."""

from __future__ import annotations

import pytest

from evergreen.submission.workflow_nodes import node_hash, read_workflow
from submission.recordings import recorded_run


def test_the_hash_is_the_one_that_argo_makes() -> None:
    # From the tests of Argo's own user interface.
    assert [node_hash(text) for text in ("hello", "world")] == [1335831723, 933488787]
    assert node_hash("world", node_hash("hello ")) == node_hash("hello world")


@pytest.mark.parametrize("name", ["run_running", "run_failed", "run_failed_pod_invalid", "run_succeeded_states_frozen"])
def test_every_recorded_node_gets_its_full_name(name: str) -> None:
    tasks = recorded_run(name).run_details.task_details
    told = {int(child.pod_name.rpartition("-")[2]) for task in tasks for child in task.child_tasks or []}
    assert len(told) > 10
    workflow = read_workflow(tasks)
    found = set(workflow.hashes.values())
    # Where states stopped coming, the children of the last nodes are not told.
    missing = len(told - found)
    assert missing <= (2 if name == "run_succeeded_states_frozen" else 0)


@pytest.mark.parametrize(
    ("name", "step", "state", "pod"),
    [
        # Without retries, with them, and the newest of five attempts.
        ("run_running", "ingest-data", "RUNNING", "lean-retraining-jmpjk-retry-system-container-impl-2000723706"),
        ("run_failed", "ingest-data", "FAILED", "continuous-retraining-7fqr5-retry-system-container-impl-1077178750"),
        ("run_failed", "load-champion", "SUCCEEDED", "continuous-retraining-7fqr5-retry-system-container-impl-3823927731"),
        ("run_failed_pod_invalid", "load-champion", "FAILED", "lean-retraining-sdt2q-retry-system-container-impl-2894128659"),
    ],
)
def test_the_newest_pod_of_a_step_comes_first(name: str, step: str, state: str, pod: str) -> None:
    tasks = recorded_run(name).run_details.task_details
    (task,) = [task for task in tasks if task.display_name == step]
    assert task.state == state
    pods = read_workflow(tasks).pods_of_step(task)
    assert pods[0] == pod
    assert pods[1] == pod.replace("retry-", "")


def test_drivers_have_pods_too() -> None:
    tasks = recorded_run("run_failed").run_details.task_details
    (task,) = [task for task in tasks if task.display_name == "ingest-data-driver"]
    assert read_workflow(tasks).pods_of_driver(task)[0] == "continuous-retraining-7fqr5-system-container-driver-1310854257"


def test_without_children_nothing_is_made_up() -> None:
    run = recorded_run("run_failed")
    for task in run.run_details.task_details:
        task.child_tasks = None
    workflow = read_workflow(run.run_details.task_details)
    assert (workflow.name, workflow.hashes) == ("", {})
    assert workflow.pods_of_step(run.run_details.task_details[0]) == []
