"""Counts the pods that a run of a compiled pipeline needs, from its graph.

On Kubernetes, Kubeflow Pipelines starts two pods per step, a driver that resolves its inputs and an executor that runs it, and one
driver for every group of steps: the whole pipeline, an exit handler, each branch of a condition (whether taken or not, because the
driver evaluates the condition), and a loop and each of its iterations. Each retry of a step needs another executor, which is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PODS_OF_A_STEP = 2
"""A driver and an executor."""

PODS_OF_A_GROUP = 1
"""A driver."""


@dataclass(frozen=True)
class PodCount:
    """The number of pods and steps of one run.

    Attributes:
        fewest: Pods of a run that takes the cheapest branch of every condition: a quiet day.
        most: Pods of a run that takes the most expensive branch of every condition: a day that retrains and promotes.
        fewest_steps: Steps of the run with the fewest pods.
        most_steps: Steps of the run with the most pods.
    """

    fewest: int
    most: int
    fewest_steps: int
    most_steps: int

    def __str__(self) -> str:
        """Return the count as one line."""
        if self.fewest == self.most:
            return f"{self.fewest} pods per run ({self.fewest_steps} steps; drivers included)"
        quiet = f"{self.fewest} pods on a quiet day ({self.fewest_steps} steps)"
        return f"{quiet}, {self.most} if every condition takes its longest branch ({self.most_steps} steps); drivers included"


def count_pods(spec: Mapping[str, Any]) -> PodCount:
    """Count the pods of a run.

    Args:
        spec: A compiled pipeline: the first document of its YAML.
    """
    fewest, most = _Counter(spec, min), _Counter(spec, max)
    root = spec["root"]["dag"]
    fewest_pods, fewest_steps = fewest.group(root)
    most_pods, most_steps = most.group(root)
    return PodCount(fewest=fewest_pods, most=most_pods, fewest_steps=fewest_steps, most_steps=most_steps)


class _Counter:
    """Counts pods and steps as pairs; ``choose`` is min or max over alternative branches."""

    def __init__(self, spec: Mapping[str, Any], choose: Callable[[list[tuple[int, int]]], tuple[int, int]]) -> None:
        self._components = spec.get("components", {})
        self._executors = spec["deploymentSpec"]["executors"]
        self._choose = choose

    def group(self, dag: Mapping[str, Any], *, exclusive: bool = False) -> tuple[int, int]:
        """Return the pods and steps of a group of tasks, including its driver; only one of several exclusive branches is taken."""
        counts = [(PODS_OF_A_GROUP, 0)]
        branches = []
        for task in dag["tasks"].values():
            if "condition" not in task.get("triggerPolicy", {}):
                counts.append(self._task(task))
                continue
            pods, steps = self._task(task)
            counts.append((PODS_OF_A_GROUP, 0))
            branches.append((pods - PODS_OF_A_GROUP, steps))
        if exclusive:
            counts.append(self._choose(branches))
        else:
            counts.extend(self._choose([branch, (0, 0)]) for branch in branches)
        return sum(pods for pods, _ in counts), sum(steps for _, steps in counts)

    def _task(self, task: Mapping[str, Any]) -> tuple[int, int]:
        name = task["componentRef"]["name"]
        component = self._components[name]
        if "executorLabel" in component:
            imports = "importer" in self._executors[component["executorLabel"]]
            return (1 if imports else PODS_OF_A_STEP), 1
        pods, steps = self.group(component["dag"], exclusive=name.startswith("comp-condition-branches"))
        rounds = _rounds(task)
        return (pods, steps) if rounds is None else (PODS_OF_A_GROUP + rounds * pods, rounds * steps)


def _rounds(task: Mapping[str, Any]) -> int | None:
    """Return the number of loop iterations: the length of a constant list, 1 for a list passed at run time, None if there is no loop."""
    iterator = task.get("parameterIterator") or task.get("artifactIterator")
    if iterator is None:
        return None
    written = iterator.get("items", {}).get("raw")
    return len(json.loads(written)) if written else 1
