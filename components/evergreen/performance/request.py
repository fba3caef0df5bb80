"""What a monitoring step is given and what it writes, as the component `monitor_performance` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MonitoringRequest:
    """Whom to watch, on which rows, and how.

    Attributes:
        model: The champion's model artifact; may be absent.
        baseline: Its baseline artifact; may be absent.
        current_data: The newest rows, or logged predictions with their labels.
        target_column: The label.
        timestamp_column: The event time.
        label_delay_days: Days after which labels are complete.
        margin: Smallest drop that matters; 0 takes the policy's.
        minimum_rows: Fewest rows to score on; 20 takes the policy's.
        seed: Seed of the bootstrap.
        predictions: ``champion`` or ``logged``.
        policy_config: The policy parameter.
    """

    model: Any
    baseline: Any
    current_data: Any
    target_column: str
    timestamp_column: str
    label_delay_days: int = 0
    margin: float = 0.0
    minimum_rows: int = 20
    seed: int = 7
    predictions: str = "champion"
    policy_config: str = "default"


@dataclass(frozen=True)
class MonitoringOutputs:
    """Output artifacts: the JSON, the page and the numbers."""

    performance_result: Any
    performance_report: Any
    metrics: Any
