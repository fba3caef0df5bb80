"""Runs on the server: start a run and follow it until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from evergreen.submission.connection import REQUEST_TIMEOUT_S
from evergreen.submission.errors import SubmissionError
from evergreen.submission.standstill import Standstill, frozen_notice, states_frozen
from evergreen.submission.steps import pipeline_steps
from evergreen.submission.times import known_time, seconds_between

if TYPE_CHECKING:
    from evergreen.submission.connection import Connection
    from evergreen.submission.server_pipelines import Version

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
"""Final states of a run."""

NEVER = datetime.max.replace(tzinfo=timezone.utc)
"""Sorts after every time."""

PATIENCE_S = 300.0
"""A run takes hours; if the server restarts in the meantime, requests are retried for this long."""


@dataclass(frozen=True)
class StepState:
    """The state of a step of a run on the server.

    Attributes:
        task_id: ID of the task; a step in a loop has several.
        name: Name of the step, as shown in the graph of the KFP UI.
        state: KFP's state; ``UNKNOWN`` or ``NOT_STARTED`` if the run ended without a final state for the step.
        seconds: Duration; None until the step has ended.
    """

    task_id: str
    name: str
    state: str
    seconds: float | None


def start_run(
    connection: Connection,
    version: Version,
    *,
    name: str,
    experiment: str,
    parameters: Mapping[str, Any],
    service_account: str | None = None,
    pipeline_root: str | None = None,
) -> str:
    """Start a run of a version and return its ID."""
    import kfp_server_api as api

    run = api.V2beta1Run(
        experiment_id=experiment,
        display_name=name,
        pipeline_version_reference=api.V2beta1PipelineVersionReference(pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id),
        runtime_config=api.V2beta1RuntimeConfig(parameters=dict(parameters), pipeline_root=pipeline_root),
        service_account=service_account,
    )
    with connection.speaking(f"starting run {name!r}"):
        return str(connection.runs.run_service_create_run(run=run, _request_timeout=REQUEST_TIMEOUT_S).run_id)


def follow_run(
    connection: Connection,
    run_id: str,
    names: Mapping[str, str],
    show: Callable[[list[StepState]], None],
    *,
    tell: Callable[[str], None] = lambda _notice: None,
    pause_s: float = 5.0,
) -> Any:
    """Wait until a run has ended.

    Args:
        connection: The connection to the server.
        run_id: ID of the run.
        names: Names of the pipeline's steps, as returned by ``step_names``.
        show: Called with the steps after each response of the server.
        tell: Called with a notice when step states are no longer updated.
        pause_s: Seconds between requests.

    Returns:
        The run as returned by the server.

    Raises:
        SubmissionError: The server has not responded for five minutes; the run itself continues.
    """
    silent_since: float | None = None
    standstill = Standstill()
    while True:
        try:
            with connection.speaking(f"reading run {run_id}"):
                run = connection.runs.run_service_get_run(run_id=run_id, _request_timeout=REQUEST_TIMEOUT_S)
        except SubmissionError:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > PATIENCE_S:
                raise
        else:
            silent_since = None
            if run.state in ENDED:
                if states_frozen(run):
                    tell(frozen_notice(run))
                show(step_states(run, names))
                return run
            show(step_states(run, names))
            notice = standstill.look(run, names)
            if notice:
                tell(notice)
        time.sleep(pause_s)


def was_terminated(run: Any) -> bool:
    """Return whether the run was terminated; KFP reports such runs as failed or canceled."""
    return run.state != "SUCCEEDED" and (run.state == "CANCELED" or any(status.state in {"CANCELING", "CANCELED"} for status in run.state_history or []))


def ending(run: Any) -> str:
    """Return in one word how a run ended."""
    return "terminated" if was_terminated(run) else str(run.state).lower()


def step_names(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the display names of a compiled pipeline's steps, by their names in the workflow."""
    return {name: step.shown for name, step in pipeline_steps(spec).items() if not step.group}


def step_states(run: Any, names: Mapping[str, str]) -> list[StepState]:
    """Return the states of a run's steps, in the order in which they started.

    A run's tasks are the nodes of its workflow; drivers, groups and executors among them are left out. After the run has ended,
    a step that still appears to be running is ``UNKNOWN``, because its state is outdated, and a step without a state is ``NOT_STARTED``.
    """
    known = {**names, **{shown: shown for shown in names.values()}}
    tasks = [task for task in (run.run_details.task_details if run.run_details else None) or [] if task.display_name in known]
    tasks.sort(key=lambda task: (known_time(task.start_time) or NEVER, task.display_name))
    ended = run.state in ENDED
    return [StepState(task_id=str(task.task_id), name=known[task.display_name], state=_state(task, ended=ended), seconds=_seconds(task)) for task in tasks]


def _state(task: Any, *, ended: bool) -> str:
    if not ended:
        return str(task.state or "PENDING")
    if task.state is None:
        return "NOT_STARTED"
    return str(task.state) if task.state in ENDED else "UNKNOWN"


def _seconds(task: Any) -> float | None:
    return seconds_between(task.start_time, task.end_time) if task.state in ENDED else None


def runs_of_schedule(connection: Connection, recurring_run_id: str) -> Iterator[Any]:
    """Yield the runs that a schedule has started, newest first; pages are requested only as needed."""
    from evergreen.submission.server_pipelines import equals, in_namespace, pages

    wanted = {"filter": equals("recurring_run_id", recurring_run_id), "sort_by": "created_at desc", **in_namespace(connection)}
    with connection.speaking("looking for runs of the schedule"):
        for run in pages(connection.runs.run_service_list_runs, "runs", **wanted):
            if run.recurring_run_id == recurring_run_id:
                yield run


def runs_under_way(connection: Connection, recurring_run_id: str) -> int:
    """Count the active runs of a schedule."""
    return sum(1 for run in runs_of_schedule(connection, recurring_run_id) if run.state not in ENDED)
