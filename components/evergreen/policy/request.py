"""What the deciding step is given and what it writes, as the component `decide_retraining` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DecisionRequest:
    """What is decided from.

    Attributes:
        drift_result: Artifact of detect_drift.
        performance_result: Artifact of monitor_performance.
        baseline: The champion's baseline; may be absent.
        policy_config: The policy parameter.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the watched window, ISO, or ``latest``.
        model_name: Name of the registered model, whose ledger holds earlier decisions; ``none`` decides without them.
        validation: What validate_data answered.
        event: An event that asks for a retraining; ``none`` takes the policy's.
        feedback: Artifact of read_feedback; without it feedback is read from where the policy says, if it names a place.
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
    """Output artifacts: the JSON and the page."""

    decision: Any
    decision_report: Any
