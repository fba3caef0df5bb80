"""Executes a compiled pipeline on this machine, one step at a time, like KFP's backend on a cluster.

KFP's own local runner requires components with their source in the specification, unlike Evergreen's, and passes other inputs to steps than the
backend does; see :mod:`evergreen.pipeline.handover`.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.pipeline.conditions import is_met
from evergreen.pipeline.handover import HeldArtifact, TaskFolders, as_number, executor_input, held, kept_metadata, read_outputs
from evergreen.storage.uris import NOTHING

Artifacts = dict[str, HeldArtifact | list[HeldArtifact]]

_INPUT_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\[['\"]([^'\"]+)['\"]\]\}\}")
_SELECTED_KEY = re.compile(r'parseJson\(string_value\)\["(.+)"\]')


class LocalRunError(EvergreenError):
    """A pipeline cannot be run on this machine, or one of its steps failed."""


@dataclass(frozen=True)
class Step:
    """Everything needed to start one step.

    Attributes:
        task_name: Name of its task in the specification.
        image: The image it would run in on a cluster.
        command: Command and arguments, with the placeholder ``{{$}}`` for the executor input.
        environment: Environment variables set by the specification.
        executor_input: The input passed by the driver.
        folder: Existing folder for its files.
    """

    task_name: str
    image: str
    command: list[str]
    environment: dict[str, str]
    executor_input: dict[str, Any]
    folder: Path


Launch = Callable[[Step], int]
"""Runs a step and returns its exit status."""


@dataclass(frozen=True)
class RunIdentity:
    """A run on this machine.

    Attributes:
        pipeline_name: Name of the pipeline.
        root: Folder of the artifacts of all runs.
        run_id: ID of the run; a random UUID, as on a cluster.
        job_name: Name that the run's Workflow would have.
    """

    pipeline_name: str
    root: Path
    run_id: str
    job_name: str

    @classmethod
    def new(cls, pipeline_name: str, root: Path) -> RunIdentity:
        """Create the identity of a new run."""
        return cls(pipeline_name, root, str(uuid.uuid4()), f"{pipeline_name}-{secrets.token_hex(3)[:5]}")

    def placeholders(self, task_name: str) -> dict[str, str]:
        """Return the values of KFP's placeholders in a task.

        There is no schedule on this machine, so the placeholder of the scheduled time becomes ``none``.
        """
        return {
            "{{$.pipeline_job_uuid}}": self.run_id,
            "{{$.pipeline_job_name}}": self.job_name,
            "{{$.pipeline_job_resource_name}}": self.job_name,
            "{{$.pipeline_root}}": str(self.root),
            "{{$.pipeline_task_name}}": task_name,
            "{{$.pipeline_task_uuid}}": str(uuid.uuid4()),
            "{{$.pipeline_job_create_time_utc}}": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "{{$.pipeline_job_schedule_time_utc}}": NOTHING,
        }


@dataclass
class _Group:
    """A running group of tasks: the pipeline itself, an exit handler, a branch, or one iteration of a loop.

    Attributes:
        parameters: Input parameters of the group.
        artifacts: Input artifacts of the group.
        outputs: Parameters and artifacts of each successful task.
        skipped: Tasks whose condition was not met, and tasks that depend on them.
        failed: Error of each failed task.
    """

    parameters: dict[str, Any]
    artifacts: Artifacts
    outputs: dict[str, tuple[dict[str, Any], Artifacts]] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def stopped(self) -> set[str]:
        """Tasks without outputs."""
        return self.skipped | set(self.failed)


class LocalDag:
    """Runs the tasks of one compiled pipeline."""

    def __init__(self, spec: Mapping[str, Any], run: RunIdentity, launch: Launch) -> None:
        """Store the pipeline to run.

        Args:
            spec: The pipeline's specification as JSON.
            run: The run.
            launch: Function that runs a step and waits for it.
        """
        self._components = spec.get("components", {})
        self._executors = spec["deploymentSpec"]["executors"]
        self._root = spec["root"]
        self._run = run
        self._launch = launch

    def run(self, arguments: Mapping[str, Any]) -> None:
        """Run the pipeline.

        Args:
            arguments: Values of its parameters; parameters without a value take their defaults.

        Raises:
            LocalRunError: A step failed; exit handlers have run.
            ConditionError: A branch's condition cannot be evaluated.
        """
        self._run_group(self._root, dict(arguments), {})

    def _run_group(self, component: Mapping[str, Any], given: dict[str, Any], artifacts: Artifacts) -> tuple[dict[str, Any], Artifacts]:
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        defaults = {name: parameter["defaultValue"] for name, parameter in declared.items() if "defaultValue" in parameter}
        dag = component["dag"]
        group = _Group({**defaults, **given}, artifacts)
        for name, task in in_order(dag["tasks"]):
            whatever_happened = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            # Tasks that do not depend on the failed step run here too, because on a cluster they run concurrently and have already started.
            if not whatever_happened and group.stopped.intersection(task.get("dependentTasks", [])):
                group.skipped.add(name)
                continue
            try:
                self._run_task(group, name, task)
            except EvergreenError as error:
                group.failed[name] = str(error)
        if group.failed:
            raise LocalRunError(" ".join(group.failed.values()))
        return _group_outputs(dag.get("outputs", {}), group)

    def _run_task(self, group: _Group, name: str, task: Mapping[str, Any]) -> None:
        parameters, artifacts = self._inputs(group, name, task)
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition is not None and not is_met(condition, parameters):
            group.skipped.add(name)
            return
        component = self._components[task["componentRef"]["name"]]
        if "executorLabel" in component:
            group.outputs[name] = self._run_step(name, component, parameters, artifacts)
            return
        inside: Artifacts = {key: [one.seen_inside() for one in many] if isinstance(many, list) else many.seen_inside() for key, many in artifacts.items()}
        rounds = _rounds(task, parameters)
        if rounds is None:
            group.outputs[name] = self._run_group(component, parameters, inside)
            return
        collected = [self._run_group(component, {**parameters, **item}, inside) for item in rounds]
        group.outputs[name] = _collected(collected)

    def _inputs(self, group: _Group, name: str, task: Mapping[str, Any]) -> tuple[dict[str, Any], Artifacts]:
        given = task.get("inputs", {})
        parameters: dict[str, Any] = {}
        # A constant may contain placeholders for the task's other inputs.
        for key, source in sorted(given.get("parameters", {}).items(), key=lambda entry: "runtimeValue" in entry[1]):
            for value in self._parameter(group, name, source, parameters):
                parameters[key] = value
        artifacts: Artifacts = {}
        for key, source in given.get("artifacts", {}).items():
            if "taskOutputArtifact" in source:
                produced = source["taskOutputArtifact"]
                written = group.outputs[produced["producerTask"]][1]
                if produced["outputArtifactKey"] not in written:
                    raise LocalRunError(f"Step {name} needs {produced['outputArtifactKey']!r} of {produced['producerTask']}, which did not produce it.")
                artifacts[key] = written[produced["outputArtifactKey"]]
            elif source["componentInputArtifact"] in group.artifacts:
                artifacts[key] = group.artifacts[source["componentInputArtifact"]]
        return parameters, artifacts

    def _parameter(self, group: _Group, task_name: str, source: Mapping[str, Any], others: Mapping[str, Any]) -> Iterator[Any]:
        """Yield a parameter's value, or nothing if it was not given."""
        value: Any
        if "taskOutputParameter" in source:
            produced = source["taskOutputParameter"]
            value = group.outputs[produced["producerTask"]][0].get(produced["outputParameterKey"])
        elif "taskFinalStatus" in source:
            value = self._final_status(group, source["taskFinalStatus"]["producerTask"])
        elif "componentInputParameter" in source:
            value = group.parameters.get(source["componentInputParameter"])
        else:
            value = self._constant(source["runtimeValue"]["constant"], task_name, {**group.parameters, **others})
        selected = _SELECTED_KEY.fullmatch(source.get("parameterExpressionSelector", ""))
        if selected:
            value = (json.loads(value) if isinstance(value, str) else value)[selected[1]]
        if value is not None:
            yield value

    def _constant(self, constant: Any, task_name: str, parameters: Mapping[str, Any]) -> Any:
        if not isinstance(constant, str) or "{{$" not in constant:
            return constant
        for placeholder, value in self._run.placeholders(task_name).items():
            constant = constant.replace(placeholder, value)
        return _INPUT_PLACEHOLDER.sub(lambda found: _as_text(parameters.get(found[1], "")), constant)

    def _final_status(self, group: _Group, producer: str) -> dict[str, Any]:
        state = "FAILED" if producer in group.failed else "COMPLETE"
        return {"state": state, "error": {}, "pipelineJobResourceName": self._run.job_name, "pipelineTaskName": producer}

    def _run_step(self, name: str, component: Mapping[str, Any], parameters: dict[str, Any], artifacts: Artifacts) -> tuple[dict[str, Any], Artifacts]:
        executor = self._executors[component["executorLabel"]]
        if "importer" in executor:
            return {}, {key: _imported(executor["importer"], parameters) for key in component["outputDefinitions"]["artifacts"]}
        container = executor["container"]
        folder = self._run.root / self._run.pipeline_name / self._run.run_id / name / str(uuid.uuid4())
        folder.mkdir(parents=True)
        given = executor_input(component, parameters, artifacts, TaskFolders.below(folder))
        (folder / "executor_input.json").write_text(json.dumps(given, indent=1), encoding="utf-8")
        environment = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
        command = [*container.get("command", []), *container.get("args", [])]
        status = self._launch(Step(name, container["image"], command, environment, given, folder))
        if status != 0:
            raise LocalRunError(f"Step {name} {ended(status)}.")
        return read_outputs(component, given, folder / "output_metadata.json")


def in_order(tasks: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks of a group by name, each after the tasks it depends on."""
    waiting = dict(sorted(tasks.items()))
    done: set[str] = set()
    while waiting:
        name = next(name for name, task in waiting.items() if done.issuperset(task.get("dependentTasks", [])))
        yield name, waiting.pop(name)
        done.add(name)


def _rounds(task: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the additional inputs of each iteration of a loop; None for a task that is not a loop."""
    iterator = task.get("parameterIterator")
    if iterator is None:
        if "artifactIterator" in task:
            raise LocalRunError("Loops over artifacts are not supported on this machine. Loop over a list of values instead.")
        return None
    items = json.loads(iterator["items"]["raw"]) if "raw" in iterator["items"] else parameters[iterator["items"]["inputParameter"]]
    listed = json.loads(items) if isinstance(items, str) else items
    return [{iterator["itemInput"]: item} for item in listed]


def _collected(rounds: list[tuple[dict[str, Any], Artifacts]]) -> tuple[dict[str, Any], Artifacts]:
    parameters = {key: [outputs[key] for outputs, _ in rounds] for key in (rounds[0][0] if rounds else ())}
    artifacts: Artifacts = {}
    for key in rounds[0][1] if rounds else ():
        written = [outputs[key] for _, outputs in rounds]
        artifacts[key] = [one for many in written for one in (many if isinstance(many, list) else [many])]
    return parameters, artifacts


def _group_outputs(outputs: Mapping[str, Any], group: _Group) -> tuple[dict[str, Any], Artifacts]:
    """Return the outputs of a group; for mutually exclusive branches, those of the branch that ran."""
    parameters: dict[str, Any] = {}
    for key, selector in outputs.get("parameters", {}).items():
        sources = selector["valueFromOneof"]["parameterSelectors"] if "valueFromOneof" in selector else [selector["valueFromParameter"]]
        for source in sources:
            if source["producerSubtask"] in group.outputs:
                parameters[key] = group.outputs[source["producerSubtask"]][0][source["outputParameterKey"]]
    artifacts: Artifacts = {}
    for key, selector in outputs.get("artifacts", {}).items():
        for source in selector["artifactSelectors"]:
            if source["producerSubtask"] in group.outputs:
                artifacts[key] = group.outputs[source["producerSubtask"]][1][source["outputArtifactKey"]]
    return parameters, artifacts


def _imported(importer: Mapping[str, Any], parameters: Mapping[str, Any]) -> HeldArtifact:
    address = importer["artifactUri"]
    uri = address["constant"] if "constant" in address else parameters[address["runtimeParameter"]]
    return held(str(uri).removeprefix("file://"), kept_metadata(importer.get("metadata", {}), output_name="artifact"))


def ended(status: int) -> str:
    """Return how a process ended, as the predicate of a sentence; a negative status means a signal."""
    if status >= 0:
        return f"failed with exit status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(as_number(value))
