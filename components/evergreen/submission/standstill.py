"""Detects when KFP no longer updates the states of a run's steps: its API keeps responding, but with outdated states."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from evergreen.storage.uris import DECIDED_BY_MLFLOW, is_nothing
from evergreen.submission.times import known_time

PATIENCE_S = 300.0
"""While no step is running, states change every few seconds: a driver takes ten, a pod waiting for capacity in the cluster longer."""

PATIENCE_WITH_A_STEP_S = 1800.0
"""A step may take hours; after this long, other explanations are worth mentioning."""

WHY = "the run's Workflow has grown past 1 MiB, at which point Argo compresses its nodes and KFP's API no longer reports step states"


class Standstill:
    """Detects when step states are no longer updated while a run continues, and reports it once."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing seen.

        Args:
            clock: Returns monotonic seconds.
        """
        self._clock = clock
        self._seen: frozenset[tuple[str, str]] | None = None
        self._since = 0.0
        self._said = False

    def look(self, run: Any, names: Mapping[str, str]) -> str | None:
        """Check an active run.

        Args:
            run: The run as returned by the server.
            names: Names of the pipeline's steps, as returned by ``step_names``.

        Returns:
            A notice for the user, only once; otherwise None.
        """
        tasks = _tasks(run)
        states = frozenset((str(task.task_id), str(task.state)) for task in tasks)
        if states != self._seen:
            self._seen, self._since = states, self._clock()
            return None
        still_s = self._clock() - self._since
        at_work = sorted({names[task.display_name] for task in tasks if task.display_name in names and task.state == "RUNNING"})
        if self._said or not tasks or still_s < (PATIENCE_WITH_A_STEP_S if at_work else PATIENCE_S):
            return None
        self._said = True
        minutes = f"{still_s / 60:.0f} minutes" if still_s >= 90 else f"{still_s:.0f} seconds"
        usual = f"{' and '.join(at_work)} may simply take that long" if at_work else "the next pod may be waiting for capacity in the cluster"
        return f"No step has changed its state for {minutes}. Either {usual}, or {WHY}. The run continues, and its overall state is still reported."


def states_frozen(run: Any) -> bool:
    """Return whether a run that has ended still has tasks that appear to be running, so that their states are outdated."""
    return any(task.state in {"RUNNING", "PENDING"} for task in _tasks(run))


def frozen_notice(run: Any) -> str:
    """Return a notice that the step states of an ended run are outdated, and since when."""
    times = [known for task in _tasks(run) for status in task.state_history or [] if (known := known_time(status.update_time))]
    since = f"at {max(times):%H:%M:%S} UTC" if times else "before the run ended"
    return f"Updates of step states stopped {since}: most likely {WHY}. To see what the steps did after that, read {_elsewhere(run)}."


def _elsewhere(run: Any) -> str:
    """Return where the steps' own records are, or else their pods."""
    parameters = (run.runtime_config.parameters if run.runtime_config else None) or {}
    ledger = str(parameters.get("state_ledger_uri", "none"))
    if not is_nothing(ledger):
        return f"the run's report: {ledger.removeprefix(DECIDED_BY_MLFLOW).rstrip('/')}/runs/{run.run_id}.html"
    pods = (str(child.pod_name).rpartition("-")[0] for task in _tasks(run) for child in task.child_tasks or [] if child.pod_name)
    return f"the logs of its pods: kubectl get pods -l workflows.argoproj.io/workflow={next(pods, '<WORKFLOW>')}"


def _tasks(run: Any) -> list[Any]:
    return (run.run_details.task_details if run.run_details else None) or []
