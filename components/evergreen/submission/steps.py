"""The steps of a compiled pipeline: what the graph shows, and under which name each reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """A task of a pipeline.

    Attributes:
        shown: Its name as the graph in the KFP UI shows it.
        record_name: Its name in the run's records; empty when it leaves none.
        group: It is a branch, loop or other group of tasks.
    """

    shown: str
    record_name: str = ""
    group: bool = False


def pipeline_steps(spec: Mapping[str, Any]) -> dict[str, Step]:
    """Return the tasks of a compiled pipeline by the names that they have in the workflow."""
    found: dict[str, Step] = {}
    components = spec.get("components", {})
    dags = [spec["root"]["dag"], *(component["dag"] for component in components.values() if "dag" in component)]
    for name, task in ((name, task) for dag in dags for name, task in dag["tasks"].items()):
        component = components.get(task.get("componentRef", {}).get("name"), {})
        found[name] = Step(
            shown=str(task.get("taskInfo", {}).get("name", name)), record_name=_record_name(task, component), group="executorLabel" not in component
        )
    return found


def _record_name(task: Mapping[str, Any], component: Mapping[str, Any]) -> str:
    given = task.get("inputs", {}).get("parameters", {}).get("step_name", {}).get("runtimeValue", {}).get("constant")
    default = component.get("inputDefinitions", {}).get("parameters", {}).get("step_name", {}).get("defaultValue")
    return str(given or default or "")
