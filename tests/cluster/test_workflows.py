"""What the backend handed to the steps of all runs of this session, and how large their Workflows grew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evergreen.pipeline.workflow_size import estimate_workflow
from pipeline.recordings import facts, recorded_inputs

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case

TOLERANCE = 1.15
"""An estimate that a run exceeds by more warns too late."""


def estimated(cluster: Cluster, pipeline: str) -> int:
    """Return the estimate of a pipeline's longest run, as ``evergreen compile`` prints it."""
    spec, *more = yaml.safe_load_all(cluster.compiled(pipeline).read_text(encoding="utf-8"))
    executors: dict[str, Any] = more[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if more else {}
    return estimate_workflow(spec, executors).node_bytes


def test_steps_get_what_the_recordings_say(cluster: Cluster, promotion: Run, lean_quiet_day: Run) -> None:
    rules = set().union(*(facts(recorded["executor_input"]) for recorded in recorded_inputs()))
    ended = [run for run in cluster.runs if run.workflow is not None]
    assert {promotion.run_id, lean_quiet_day.run_id} <= {run.run_id for run in ended}
    handed = {(run.name, step.component): facts(step.executor_input) - rules for run in ended for step in run.ended_workflow.step_inputs()}
    assert len(handed) > 20, "the executor inputs were not found in the Workflows"
    broken = {where: sorted(found) for where, found in handed.items() if found}
    assert broken == {}


@pytest.mark.parametrize("name", ["promotion", "lean first run"])
def test_the_longest_runs_are_no_larger_than_estimated(cluster: Cluster, promotion: Run, lean_first_run: Run, case: Case, name: str) -> None:
    run = case.took({"promotion": promotion, "lean first run": lean_first_run}[name])
    estimate, measured = estimated(cluster, run.pipeline), run.ended_workflow.node_bytes
    case.note(f"{measured / estimate:.0%} of the estimate, {estimate:,}")
    assert measured <= TOLERANCE * estimate
    assert measured >= estimate / 2, "the estimate warns of what never comes"


def test_no_run_was_packed(cluster: Cluster, promotion: Run) -> None:
    assert promotion.workflow is not None
    assert [run.name for run in cluster.runs if run.workflow is not None and run.workflow.packed] == []
