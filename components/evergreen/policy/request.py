"""Inputs and outputs of the decision step, as described by the component `decide_retraining`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DecisionRequest:
    """The inputs of the decision.

    Attributes:
        drift_result: Result artifact of detect_drift.
        performance_result: Result artifact of monitor_performance.
        baseline: The champion's baseline; may be absent.
        policy_config: The ``policy_config`` parameter.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the monitored window, ISO, or ``latest``.
        model_name: Name of the registered model, whose ledger contains earlier decisions; ``none`` to decide without them.
        validation: Outcome of validate_data.
        event: An event that calls for a retraining; ``none`` uses the policy's event.
        feedback: Artifact of read_feedback. If absent, feedback is read from the source in the policy, if set.
    """

    drift_result: Any
    performance_result: Any
    baseline: Any
    policy_config: str = "default"
    mode: str = "auto"
    window_end: str = "latest"
    model_name: str = "none"
    validation: str = "passed"
    event: str = "none"
    feedback: Any = None


@dataclass(frozen=True)
class DecisionOutputs:
    """Output artifacts: the JSON and the report."""

    decision: Any
    decision_report: Any
