"""Why a run failed: the error of each failed step, what to do, and where to find more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evergreen.submission.run_records import RunRecords, read_run_records
from evergreen.submission.runs import was_terminated
from evergreen.submission.step_logs import last_driver_error, last_error, last_line, read_log, shortened
from evergreen.submission.steps import Step, pipeline_steps
from evergreen.submission.times import known_time
from evergreen.submission.workflow_nodes import Workflow, read_workflow

if TYPE_CHECKING:
    from evergreen.runs.records import StepRecord
    from evergreen.submission.connection import Connection

CORRECT = "Follow the advice in the message and start the run again: completed work is not repeated."
KILLED = "It may have run out of memory or time: raise the step's limits (--platform) and start the run again."
REFUSED = "Possible causes: a quota, a LimitRange, a Pod Security standard or an image. Find the reason with: {command}"
START_FAILED = "KFP's driver prepares the pod of a step: check the run's parameters, especially secret_name, and the pipeline's platform settings."
STOPPED = "If you still need the run, start it again: completed work is not repeated."
NO_LOG = "While the pod still exists, read its log: {command}. If the log is empty, the pod may never have started: {describe}"
READ_LOG = "While the pod still exists, read its log: {command}"


@dataclass(frozen=True)
class StepFailure:
    """A step that failed.

    Attributes:
        step: Name of the step, as shown in the graph of the KFP UI.
        error: The error: ``ExceptionType: message``, or a sentence on what is known.
        cause: ``error``, ``killed``, ``pod refused``, ``driver``, ``stopped`` or ``unknown``.
        advice: What to do.
        report: Location of the report; empty when there is none.
        source: Where the information comes from: ``record``, ``log`` or ``states``.
    """

    step: str
    error: str
    cause: str
    advice: str
    report: str = ""
    source: str = "states"

    def as_json(self) -> dict[str, str]:
        """Return the failure as JSON-compatible values."""
        return asdict(self)


def run_failures(connection: Connection, run: Any, spec: Mapping[str, Any]) -> list[StepFailure]:
    """Find out why a run failed.

    Args:
        connection: The connection to the server.
        run: The run as returned by the server; it has ended.
        spec: The compiled pipeline.

    Returns:
        The failed steps in the order in which they started; a single entry without a step if it is unknown which step failed.
    """
    records = read_run_records(_ledger_uri(run, spec), str(run.run_id))
    return _Failures(connection, run, pipeline_steps(spec), records).found()


class _Failures:
    def __init__(self, connection: Connection, run: Any, steps: Mapping[str, Step], records: RunRecords) -> None:
        self._connection = connection
        self._run = run
        self._steps = steps
        self._tasks = sorted((run.run_details.task_details if run.run_details else None) or [], key=_start)
        self._workflow: Workflow = read_workflow(self._tasks)
        self._records = records
        self._unused = [record for record in records.steps if record.state != "succeeded"]

    def found(self) -> list[StepFailure]:
        failures = [self._of_step(task) for task in self._tasks if task.display_name in self._steps and task.state == "FAILED" and self._is_step(task)]
        failures += [self._of_driver(task) for task in self._tasks if task.state == "FAILED" and self._prepared_by(task) is not None]
        # State updates may have stopped before the step failed; then only its record shows the failure.
        failures += [self._from_record(record, self._shown(record.step_name)) for record in list(self._unused)]
        return failures or [self._unknown()]

    def _shown(self, record_name: str) -> str:
        return next((step.shown_for(record_name) for step in self._steps.values() if record_name in step.record_names), record_name)

    def _is_step(self, task: Any) -> bool:
        return not self._steps[task.display_name].group

    def _of_step(self, task: Any) -> StepFailure:
        step = self._steps[task.display_name]
        record = self._take_record(step)
        if record is not None and record.state == "failed":
            return self._from_record(record, step.shown_for(record.step_name))
        if self._never_started(task):
            said = "Kubernetes rejected its pod, or the pod never started."
            return self._failure(step, said, "pod refused", REFUSED.format(command=self._describe))
        log = read_log(self._connection, str(self._run.run_id), self._workflow.pods_of_step(task))
        error = last_error(log[1]) if log else ""
        if error:
            return self._failure(step, error, "error", CORRECT, source="log")
        return self._without_error(task, step, record, log)

    def _without_error(self, task: Any, step: Step, record: StepRecord | None, log: tuple[str, str] | None) -> StepFailure:
        if self._was_stopped(task):
            return self._failure(step, "It was stopped because the run was terminated.", "stopped", STOPPED)
        if record is not None:
            return self._from_record(record, step.shown_for(record.step_name))
        if log:
            advice = f"{KILLED} {READ_LOG.format(command=self._logs_of(log[0]))}"
            return self._failure(step, f"It ended without reporting an error; its log ends with: {last_line(log[1])}", "killed", advice, source="log")
        advice = NO_LOG.format(command=self._logs_of(None), describe=self._describe)
        return self._failure(step, "It failed, and its log is not available from KFP.", "unknown", advice)

    def _of_driver(self, task: Any) -> StepFailure:
        step = self._prepared_by(task)
        log = read_log(self._connection, str(self._run.run_id), self._workflow.pods_of_driver(task))
        error = last_driver_error(log[1]) if log else ""
        advice = START_FAILED if error else f"{START_FAILED} {READ_LOG.format(command=self._logs_of(log[0] if log else None))}"
        said = f"KFP could not start it: {error}" if error else "KFP could not start it, and the driver's log is not available."
        return self._failure(step or Step(task.display_name), said, "driver", advice, source="log" if error else "states")

    def _from_record(self, record: StepRecord, shown: str) -> StepFailure:
        if record in self._unused:
            self._unused.remove(record)
        report = next(iter(record.reports.values()), self._records.report)
        if record.state == "failed":
            error = shortened(record.error or "It failed without a message.")
            return StepFailure(step=shown, error=error, cause="error", advice=CORRECT, report=report, source="record")
        error = f"It started at {record.started_at} and was killed before it ended."
        return StepFailure(step=shown, error=error, cause="killed", advice=KILLED, report=report, source="record")

    def _unknown(self) -> StepFailure:
        known = self._run.error.message if self._run.error and self._run.error.message else "KFP does not say which step failed."
        return StepFailure(step="", error=known, cause="unknown", advice=READ_LOG.format(command=self._logs_of(None)), report=self._records.report)

    def _failure(self, step: Step, error: str, cause: str, advice: str, *, source: str = "states") -> StepFailure:
        return StepFailure(step=step.shown, error=error, cause=cause, advice=advice, report=self._records.report, source=source)

    def _take_record(self, step: Step) -> StepRecord | None:
        """Return the record of a step; a step in a loop writes records under its name plus a suffix."""
        same = [record for record in self._unused if record.step_name in step.record_names]
        same = same or [record for record in self._unused if len(step.record_names) == 1 and record.step_name.startswith(step.record_names[0])]
        if not same:
            return None
        self._unused.remove(same[0])
        return same[0]

    def _prepared_by(self, task: Any) -> Step | None:
        """Return the step or group that a driver task prepares."""
        name = str(task.display_name)
        if name == "root-driver":
            return Step("The pipeline itself", group=True)
        return self._steps.get(name.removesuffix("-driver")) if name.endswith("-driver") else None

    def _never_started(self, task: Any) -> bool:
        """Return whether none of a step's pods was ever created: they failed immediately, without any waiting state."""
        end = known_time(task.end_time)
        attempts = [
            other
            for other in self._tasks
            if str(other.display_name).split("(")[0] == "executor"
            and not other.child_tasks
            and other.state == "FAILED"
            and _start(task) <= _start(other)
            and (end is None or _start(other) <= end.timestamp())
        ]
        return bool(attempts) and all([status.state for status in attempt.state_history or []] == ["FAILED"] for attempt in attempts)

    def _was_stopped(self, task: Any) -> bool:
        asked = [known_time(status.update_time) for status in self._run.state_history or [] if status.state == "CANCELING"]
        end = known_time(task.end_time)
        return was_terminated(self._run) and (end is None or not asked or asked[0] is None or end >= asked[0])

    @property
    def _namespace(self) -> str:
        return self._connection.namespace or "kubeflow"

    @property
    def _describe(self) -> str:
        return f"kubectl describe workflow {self._workflow.name or '<WORKFLOW>'} -n {self._namespace}"

    def _logs_of(self, pod: str | None) -> str:
        which = pod or f"-l workflows.argoproj.io/workflow={self._workflow.name or '<WORKFLOW>'} --prefix --tail=30"
        return f"kubectl logs -n {self._namespace} {which} -c main"


def _start(task: Any) -> float:
    known = known_time(task.start_time)
    return float("inf") if known is None else known.timestamp()


def _ledger_uri(run: Any, spec: Mapping[str, Any]) -> str:
    given = dict((run.runtime_config.parameters if run.runtime_config else None) or {})
    declared = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {}).get("state_ledger_uri", {})
    return str(given.get("state_ledger_uri", declared.get("defaultValue", "none")))
