"""The runs of the tests' KFP: the nodes of a workflow as KFP's API tells them, after recordings of a real one.

Every task is a node with one attempt below it, ``NAME(0)``, as the stock controller makes them; a step is a driver, and a group that holds
``executor`` and its attempts, which are the pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

NOT_YET = datetime(1, 1, 1, tzinfo=timezone.utc)
NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
LINK = timedelta(seconds=10)
"""Every link of the chain takes as long, whatever it does."""


@dataclass
class Script:
    """What the next runs do.

    Attributes:
        outcome: How they end: ``SUCCEEDED``, ``FAILED``, or ``TERMINATED``.
        failing: Workflow name of the task that fails; the first step when empty.
        pod_refused: Kubernetes refuses its pods.
        driver_fails: Its driver fails instead.
        frozen_after: Number of tasks after which states stop coming.
        log: What the failing step's pod wrote; nothing when its log is gone.
    """

    outcome: str = "SUCCEEDED"
    failing: str = ""
    pod_refused: bool = False
    driver_fails: bool = False
    frozen_after: int | None = None
    log: str | None = None


@dataclass
class Node:
    """A node of the workflow."""

    name: str
    shown: str
    state: str | None
    start: datetime
    children: list[str] = field(default_factory=list)
    pod: bool = False
    history: tuple[str | None, ...] = ()
    template: str = ""


def fnv(text: str) -> int:
    """Return FNV-1a of 32 bits, with which Argo makes ids of names."""
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


class WorkflowNodes:
    """All nodes of a workflow that has run to its end."""

    def __init__(self, name: str, spec: dict[str, Any], script: Script, start: datetime) -> None:
        self.name = name
        self.nodes: list[Node] = []
        self._spec = spec
        self._script = script
        self._now = start
        self._failed = False
        self._stopped = False
        self._failing = script.failing or next(iter(self._steps(spec["root"]["dag"])), "")
        attempt = self._add(f"{name}(0)", f"{name}(0)")
        root = self._add(name, name, children=[attempt.name])
        self._driver(f"{name}(0)", "root", "system-dag-driver")
        self._dag(f"{name}(0)", "root", spec["root"]["dag"], attempt)
        for node in (attempt, root):
            self._end(node)

    def _steps(self, dag: dict[str, Any]) -> Iterator[str]:
        for name, task in _ordered(dag):
            component = self._spec["components"][task["componentRef"]["name"]]
            if "dag" in component:
                yield from self._steps(component["dag"])
            else:
                yield name

    def _add(self, name: str, shown: str, **more: Any) -> Node:
        node = Node(name=name, shown=shown, state="RUNNING", start=self._now, history=("RUNNING",), **more)
        self.nodes.append(node)
        return node

    def _end(self, node: Node) -> None:
        node.state = "FAILED" if self._failed else "SUCCEEDED"
        node.history = ("RUNNING", node.state)

    def _driver(self, parent: str, task: str, template: str, *, fails: bool = False) -> None:
        shown = f"{task}-driver"
        attempt = self._add(f"{parent}.{shown}(0)", f"{shown}(0)", pod=True, template=template)
        retry = self._add(f"{parent}.{shown}", shown, children=[attempt.name])
        for node, before in ((attempt, "PENDING"), (retry, "RUNNING")):
            node.state = "FAILED" if fails else "SUCCEEDED"
            node.history = (before, node.state)
        self._now += LINK

    def _dag(self, parent: str, task: str, dag: dict[str, Any], above: Node) -> None:
        attempt = self._add(f"{parent}.{task}(0)", f"{task}(0)")
        retry = self._add(f"{parent}.{task}", task, children=[attempt.name])
        above.children += [f"{parent}.{task}-driver", retry.name]
        for name, wanted in _ordered(dag):
            # The exit task runs whatever happened before it.
            exits = wanted.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            self._task(attempt, name, self._spec["components"][wanted["componentRef"]["name"]], omitted=self._stopped and not exits)
        for node in (attempt, retry):
            self._end(node)

    def _task(self, above: Node, name: str, component: dict[str, Any], *, omitted: bool) -> None:
        parent = above.name
        if omitted:
            for shown in (f"{name}-driver", name):
                node = self._add(f"{parent}.{shown}", shown)
                node.state, node.history = None, (None,)
            above.children += [f"{parent}.{name}-driver"]
            return
        if "dag" in component:
            self._driver(parent, name, "system-dag-driver")
            self._dag(parent, name, component["dag"], above)
            return
        fails = name == self._failing and self._script.outcome != "SUCCEEDED"
        self._driver(parent, name, "system-container-driver", fails=fails and self._script.driver_fails)
        above.children += [f"{parent}.{name}-driver"]
        if fails and self._script.driver_fails:
            node = self._add(f"{parent}.{name}", name)
            node.state, node.history = None, (None,)
            self._failed = self._stopped = True
            return
        self._step(above, f"{parent}.{name}", name, fails=fails)

    def _step(self, above: Node, full: str, shown: str, *, fails: bool) -> None:
        state = "FAILED" if fails else "SUCCEEDED"
        refused = fails and self._script.pod_refused
        pods = [f"{full}(0).executor({number})" for number in range(3 if refused else 1)]
        nodes = [self._add(pod, pod.rpartition(".")[2], pod=True, template="retry-system-container-impl") for pod in pods]
        groups = [
            self._add(f"{full}(0).executor", "executor", children=pods),
            self._add(f"{full}(0)", f"{shown}(0)", children=[f"{full}(0).executor"]),
            self._add(full, shown, children=[f"{full}(0)"]),
        ]
        for node in nodes:
            node.state, node.history = state, ("FAILED",) if refused else ("PENDING", "FAILED") if fails else ("PENDING", "RUNNING", state)
        for node in groups:
            node.state, node.history = state, ("RUNNING", state)
        above.children.append(full)
        self._now += LINK
        self._failed = self._failed or fails
        self._stopped = self._stopped or fails

    @property
    def failing_pod(self) -> str:
        """Return the name of the last pod of the step that fails, or of its driver."""
        task = f"{self._failing}-driver" if self._script.driver_fails else self._failing
        found = [node for node in self.nodes if node.pod and f".{task}(" in node.name]
        return f"{self.name}-{found[-1].template}-{fnv(found[-1].name)}"

    def tasks(self, run_id: str, *, ended: bool) -> list[dict[str, Any]]:
        """Return the nodes as KFP's API tells them: while the run goes on, as far as the first step has come."""
        started = [node for node in self.nodes if ended or node.start <= self.nodes[0].start + 2 * LINK]
        frozen = self._script.frozen_after
        if frozen is not None:
            started = started[:frozen]
        at_work = {node.name for node in started if not ended or frozen is not None} - {node.name for node in started if "-driver" in node.shown}
        return [self._told(node, run_id, at_work=node.name in at_work and node.state is not None) for node in started]

    def _told(self, node: Node, run_id: str, *, at_work: bool) -> dict[str, Any]:
        state = "RUNNING" if at_work else node.state
        history = node.history[:-1] if at_work and len(node.history) > 1 else node.history
        end = NOT_YET if at_work else node.start if node.state is None else node.start + timedelta(seconds=4)
        told: dict[str, Any] = {
            "run_id": run_id,
            "task_id": f"{run_id[:8]}-{fnv(node.name)}",
            "display_name": node.shown,
            "create_time": text_of(self.nodes[0].start),
            "start_time": text_of(node.start),
            "end_time": text_of(end),
        }
        if state is not None:
            told["state"] = state
        told["state_history"] = [{"update_time": text_of(node.start), **({"state": before} if before else {})} for before in history]
        if node.children:
            told["child_tasks"] = [{"pod_name": f"{self.name}-{fnv(child)}"} for child in node.children]
        return told


def text_of(time: datetime) -> str:
    """Write a time as KFP does."""
    # The C library of Linux writes the year 1 without zeros in front.
    return f"{time.year:04d}-{time:%m-%dT%H:%M:%SZ}"


def _ordered(dag: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the tasks of a group in the order in which they can run."""
    left = dict(dag["tasks"])
    order: list[tuple[str, dict[str, Any]]] = []
    while left:
        done = {name for name, _ in order}
        ready = [name for name in left if set(left[name].get("dependentTasks", [])) <= done]
        order += [(name, left.pop(name)) for name in ready]
    return order
