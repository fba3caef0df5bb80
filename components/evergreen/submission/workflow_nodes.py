"""Finds the pods of a step from the names of the workflow's nodes.

For each task, KFP's API returns the display name and the IDs of its children, but not its own ID. An ID consists of the workflow's name and a hash of
the node's full name, which is that of its parent followed by ``.NAME`` for a task and ``(N)`` for an attempt. The full names are therefore found by
trial, and a pod is named after its workflow, its template and the hash.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

EXECUTOR = re.compile(r"\.executor(\(\d+\))?$")
ATTEMPT = re.compile(r"\(\d+\)$")
MOST_ATTEMPTS = 10

STEP_TEMPLATES = ("retry-system-container-impl", "system-container-impl")
DRIVER_TEMPLATES = ("system-container-driver", "system-dag-driver")

_FNV_START, _FNV_PRIME = 0x811C9DC5, 0x01000193


def node_hash(name: str, start: int = _FNV_START) -> int:
    """Return the hash that ends a node's ID and the name of its pod: 32-bit FNV-1a of the full name.

    Args:
        name: The full name, or the remainder of one.
        start: Hash of the part before the remainder.
    """
    state = start
    for byte in name.encode():
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state


@dataclass(frozen=True)
class Workflow:
    """The nodes of a run's workflow, as far as their names could be found.

    Attributes:
        name: The workflow's name in Kubernetes; empty if no task reveals it.
        hashes: Hash of each node by full name.
    """

    name: str = ""
    hashes: dict[str, int] = field(default_factory=dict)

    def pods_of_step(self, task: Any) -> list[str]:
        """Return the possible names of a step's pods, the newest attempt first."""
        own = self._full_name(task)
        below = [name for name in self.hashes if own and name.startswith((f"{own}(", f"{own}.")) and EXECUTOR.search(name)]
        # A node with attempts is not a pod itself; its attempts are.
        leaves = [name for name in below if not any(other.startswith(f"{name}(") for other in below)]
        return self._pods(sorted(leaves, key=_attempts, reverse=True), STEP_TEMPLATES)

    def pods_of_driver(self, task: Any) -> list[str]:
        """Return the possible names of a driver's pods, the newest attempt first."""
        ends = re.compile(rf"\.{re.escape(task.display_name)}(\(\d+\))?$")
        found = [name for name in self.hashes if ends.search(name)]
        leaves = [name for name in found if not any(other.startswith(f"{name}(") for other in found)]
        return self._pods(sorted(leaves, key=_attempts, reverse=True), DRIVER_TEMPLATES)

    def _pods(self, names: Sequence[str], templates: Sequence[str]) -> list[str]:
        # Very old clusters name a pod after its node.
        middles = [*(f"-{template}" for template in templates), ""]
        return [f"{self.name}{middle}-{self.hashes[name]}" for name in names for middle in middles]

    def _full_name(self, task: Any) -> str:
        """Return a task's full name: the one contained in its children's names, or the only one that ends with its display name."""
        ends = f".{task.display_name}"
        by_hash = {hashed: name for name, hashed in self.hashes.items()}
        for child in _children(task):
            name = ATTEMPT.sub("", by_hash.get(child, "").removesuffix(".executor"))
            if name.endswith(ends):
                return name
        found = {ATTEMPT.sub("", name) for name in self.hashes if ATTEMPT.sub("", name).endswith(ends)}
        return found.pop() if len(found) == 1 else ""


def read_workflow(tasks: Iterable[Any]) -> Workflow:
    """Find the full names of a workflow's nodes.

    Args:
        tasks: The run's ``task_details``.
    """
    tasks = list(tasks)
    names = Counter(str(child.pod_name).rpartition("-")[0] for task in tasks for child in task.child_tasks or [] if child.pod_name)
    if not names:
        return Workflow()
    workflow = names.most_common(1)[0][0]
    wanted = {child for task in tasks for child in _children(task)}
    shown = {str(task.display_name) for task in tasks if task.display_name}
    suffixes = [f".{name}" for name in shown] + [f"({number})" for number in range(MOST_ATTEMPTS)]
    hashes: dict[str, int] = {}
    ahead = [workflow, f"{workflow}(0)"]
    while ahead:
        parent = ahead.pop()
        state = node_hash(parent)
        for suffix in suffixes:
            hashed = node_hash(suffix, state)
            name = parent + suffix
            if hashed in wanted and name not in hashes:
                hashes[name] = hashed
                ahead.append(name)
    return Workflow(name=workflow, hashes=hashes)


def _children(task: Any) -> list[int]:
    ends = (str(child.pod_name).rpartition("-")[2] for child in task.child_tasks or [] if child.pod_name)
    return [int(end) for end in ends if end.isdigit()]


def _attempts(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\((\d+)\)", name)]
