"""What Argo's Workflow of a run tells: its pods, how large its nodes are, and what the driver handed to each step."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EXECUTOR = "evergreen.pipeline.executor"
EXECUTOR_INPUT = "--executor_input"


@dataclass(frozen=True)
class StepInput:
    """What the driver handed to a step.

    Attributes:
        component: As the image's executor is told it, ``ROOM.FUNCTION``.
        executor_input: The JSON that goes with it.
    """

    component: str
    executor_input: dict[str, Any]


class Workflow:
    """A Workflow as Kubernetes has it."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        """Take the object; packed nodes are unpacked."""
        self.name = str(found["metadata"]["name"])
        status = found.get("status", {})
        packed = status.get("compressedNodes")
        self.packed = bool(packed) or bool(status.get("offloadNodeStatusVersion"))
        self.nodes: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed))) if packed else status.get("nodes") or {}

    @property
    def node_bytes(self) -> int:
        """Return how many bytes the nodes take, as Argo writes them."""
        return len(json.dumps(self.nodes, separators=(",", ":"), ensure_ascii=False).encode())

    @property
    def pods(self) -> int:
        """Count the pods, those of further attempts included."""
        return sum(1 for node in self.nodes.values() if node.get("type") == "Pod")

    def attempts(self, component: str) -> int:
        """Count the pods that were started for a component's executor."""
        return sum(1 for node in self.nodes.values() if node.get("type") == "Pod" and any(step.component == component for step in _steps(node)))

    def attempts_by_component(self) -> dict[str, int]:
        """Count the pods that were started for each component's executor; a component that several steps are made of counts once for each."""
        pods = [node for node in self.nodes.values() if node.get("type") == "Pod"]
        started = Counter(json.dumps([step.component, step.executor_input], sort_keys=True) for node in pods for step in _steps(node))
        return {f"{json.loads(key)[0]} {number}": count for number, (key, count) in enumerate(started.items())}

    def step_inputs(self) -> list[StepInput]:
        """Return what was handed to each step, each once, although nodes repeat it."""
        found = {json.dumps(step.executor_input, sort_keys=True): step for node in self.nodes.values() for step in _steps(node)}
        return list(found.values())


def _steps(node: Mapping[str, Any]) -> Iterator[StepInput]:
    for side in ("inputs", "outputs"):
        for parameter in (node.get(side) or {}).get("parameters") or []:
            patch = _parsed(parameter.get("value"))
            for container in patch.get("containers") or []:
                words = [*(container.get("command") or []), *(container.get("args") or [])]
                given = [_parsed(following) for word, following in itertools.pairwise(words) if word == EXECUTOR_INPUT]
                # In the component's own arguments a placeholder stands in its place: the launcher fills it in.
                inputs = [found for found in given if "outputs" in found]
                if inputs and EXECUTOR in words:
                    yield StepInput(words[words.index(EXECUTOR) + 1], inputs[0])


def _parsed(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
