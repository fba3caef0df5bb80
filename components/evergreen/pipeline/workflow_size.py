"""Estimates the size of a run's Workflow object from the compiled pipeline, before anything has run.

Argo keeps the state of a run in the Workflow object. Kubernetes limits the size of such an object, so Argo compresses its nodes above 1 MiB, and
from then on Kubeflow Pipelines' API never updates the states of the steps. The formula is based on measurements on Kubeflow Pipelines 2.17 with
Argo Workflows 4.0.8: a node repeats what is passed to its pod.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evergreen.pipeline.pod_count import count_pods

PACKED_FROM_BYTES = 2**20
"""Argo compresses nodes above this size."""

WARN_FROM_BYTES = 800_000
"""Estimates above this size cause a warning, because wide tables and long parameters make a run larger than a typical one."""

POD_PATCH_COPIES = 6
SPECIFICATION_COPIES = 2
NODE_BYTES = 2_700
NODES_A_POD = 3.3

URI_BYTES = 120
ARTIFACT_BYTES = 90
"""Name, type and punctuation of an artifact in the executor input."""

METADATA_BYTES = {"system.Dataset": 1_500, "system.Model": 700}
OTHER_METADATA_BYTES = 450
"""Bytes that steps write about their outputs, plus the 260 bytes of KFP's description of the store; taken from recorded runs."""

PARAMETER_BYTES = 60
ROUNDS_PARAMETER = "shards"
"""Input of a planning step that sets the number of iterations of the loop after it."""


@dataclass(frozen=True)
class WorkflowSize:
    """The estimate for one pipeline.

    Attributes:
        node_bytes: Bytes of all nodes of the longest run, in which every branch is taken.
    """

    node_bytes: int

    @property
    def warning(self) -> str:
        """Warning about a run of this size; empty if there is none."""
        if self.node_bytes <= WARN_FROM_BYTES:
            return ""
        return (
            f"warning: the Workflow of a run may grow to {self}. Above {PACKED_FROM_BYTES / 1e6:.2f} MB, KFP's API and UI stop updating the states of "
            "its steps, although the run continues. Split the pipeline, or shorten its loops and the text of its parameters."
        )

    def __str__(self) -> str:
        """Return the size in megabytes."""
        return f"{self.node_bytes / 1e6:.2f} MB"


def estimate_workflow(spec: Mapping[str, Any], platform: Mapping[str, Any], *, executor_inputs: Mapping[str, list[int]] | None = None) -> WorkflowSize:
    """Estimate the node size of a pipeline's longest run.

    Args:
        spec: The compiled pipeline: the first document of its YAML.
        platform: Kubernetes settings by executor, from the second document below ``deploymentSpec.executors``.
        executor_inputs: Bytes of the executor input of each start of a task, by task name, where known; estimated otherwise.

    Returns:
        The estimate.
    """
    pods = count_pods(spec).most
    total = 0.0
    for task_name, task, rounds in _steps(spec, spec["root"]["dag"], 1):
        known = (executor_inputs or {}).get(task_name)
        inputs = known or [_executor_input_bytes(spec, task)] * rounds
        total += sum(_step_bytes(spec, platform, task, size) for size in inputs)
        pods += 3 * (len(inputs) - 1)  # each further iteration: its driver, and the driver and the executor of the step
    return WorkflowSize(round(total + pods * NODES_A_POD * NODE_BYTES))


def executor_input_bytes(executor_input: Mapping[str, Any], *, session_bytes: int = 262) -> int:
    """Return the size in bytes that a local run's executor input would have on a cluster, with long URIs.

    Args:
        executor_input: The executor input as created by :mod:`evergreen.pipeline.handover`.
        session_bytes: Length of the description of the object store in each artifact's metadata.
    """
    size = _bytes(executor_input) + URI_BYTES - len(executor_input["outputs"]["outputFile"])
    for side in ("inputs", "outputs"):
        for listed in executor_input[side].get("artifacts", {}).values():
            for artifact in listed["artifacts"]:
                size += URI_BYTES - len(artifact["uri"])
                if "store_session_info" in artifact.get("metadata", {}):
                    size += session_bytes - len(artifact["metadata"]["store_session_info"])
    return size


def _steps(spec: Mapping[str, Any], dag: Mapping[str, Any], rounds: int) -> list[tuple[str, Mapping[str, Any], int]]:
    found: list[tuple[str, Mapping[str, Any], int]] = []
    for name, task in dag["tasks"].items():
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" in component:
            found += _steps(spec, component["dag"], rounds * _rounds(spec, dag, task))
        else:
            found.append((name, task, rounds))
    return found


def _rounds(spec: Mapping[str, Any], dag: Mapping[str, Any], task: Mapping[str, Any]) -> int:
    """Return the default number of iterations of a task: 1 unless it is a loop."""
    iterator = task.get("parameterIterator") or task.get("artifactIterator")
    if iterator is None:
        return 1
    items = iterator["items"]
    if "raw" in items:
        return len(json.loads(items["raw"]))
    source = task["inputs"]["parameters"].get(items["inputParameter"], {})
    if "taskOutputParameter" in source:
        planned = dag["tasks"][source["taskOutputParameter"]["producerTask"]]
        source = planned["inputs"]["parameters"].get(ROUNDS_PARAMETER, {})
    name = source.get("componentInputParameter", "").removeprefix("pipelinechannel--")
    default = spec["root"].get("inputDefinitions", {}).get("parameters", {}).get(name, {}).get("defaultValue")
    default = source.get("runtimeValue", {}).get("constant", default)
    return len(default) if isinstance(default, list) else int(default or 1)


def _step_bytes(spec: Mapping[str, Any], platform: Mapping[str, Any], task: Mapping[str, Any], executor_input: int) -> float:
    component = spec["components"][task["componentRef"]["name"]]
    label = component["executorLabel"]
    container = spec["deploymentSpec"]["executors"][label].get("container", {})
    command = _bytes(container.get("command", [])) + _bytes(container.get("args", []))
    environment = _bytes(container.get("env", [])) + _bytes(platform.get(label, {}))
    patch = command + _bytes(component) + executor_input + environment
    return POD_PATCH_COPIES * patch + SPECIFICATION_COPIES * (_bytes(component) + _bytes(container) + _bytes(task))


def _executor_input_bytes(spec: Mapping[str, Any], task: Mapping[str, Any]) -> int:
    component = spec["components"][task["componentRef"]["name"]]
    inputs, outputs = component.get("inputDefinitions", {}), component.get("outputDefinitions", {})
    given = task.get("inputs", {})
    size = sum(len(name) + PARAMETER_BYTES for name in given.get("parameters", {}))
    for name in given.get("artifacts", {}):
        kind = inputs.get("artifacts", {}).get(name, {}).get("artifactType", {}).get("schemaTitle", "")
        size += len(name) + URI_BYTES + ARTIFACT_BYTES + METADATA_BYTES.get(kind, OTHER_METADATA_BYTES)
    size += sum(2 * len(name) + URI_BYTES + ARTIFACT_BYTES for name in (*outputs.get("artifacts", {}), "executor-logs"))
    return size + sum(len(name) + PARAMETER_BYTES for name in outputs.get("parameters", {})) + URI_BYTES


def _bytes(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())
