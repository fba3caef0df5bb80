"""The steps of a compiled pipeline: their names in the graph, and the names under which they report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evergreen.runs.records import PARTS_OF_STEP


@dataclass(frozen=True)
class Step:
    """A task of a pipeline.

    Attributes:
        shown: Name of the task, as shown in the graph of the KFP UI.
        record_names: Its names in the run records: one, or those of the steps it combines; empty if it writes no record.
        group: Whether it is a branch, loop or other group of tasks.
    """

    shown: str
    record_names: tuple[str, ...] = ()
    group: bool = False

    def shown_for(self, record_name: str) -> str:
        """Return the step's name, with the part that a record is about if the step has several."""
        return f"{self.shown}: {record_name}" if len(self.record_names) > 1 else self.shown


def pipeline_steps(spec: Mapping[str, Any]) -> dict[str, Step]:
    """Return the tasks of a compiled pipeline by their names in the workflow."""
    found: dict[str, Step] = {}
    components = spec.get("components", {})
    dags = [spec["root"]["dag"], *(component["dag"] for component in components.values() if "dag" in component)]
    for name, task in ((name, task) for dag in dags for name, task in dag["tasks"].items()):
        component = components.get(task.get("componentRef", {}).get("name"), {})
        found[name] = Step(
            shown=str(task.get("taskInfo", {}).get("name", name)), record_names=_record_names(task, component), group="executorLabel" not in component
        )
    return found


def _record_names(task: Mapping[str, Any], component: Mapping[str, Any]) -> tuple[str, ...]:
    made_of = re.sub(r"^comp-|-\d+$", "", str(task.get("componentRef", {}).get("name", ""))).replace("-", "_")
    if made_of in PARTS_OF_STEP:
        return PARTS_OF_STEP[made_of]
    given = task.get("inputs", {}).get("parameters", {}).get("step_name", {}).get("runtimeValue", {}).get("constant")
    default = component.get("inputDefinitions", {}).get("parameters", {}).get("step_name", {}).get("defaultValue")
    return tuple(str(name) for name in (given or default,) if name)
