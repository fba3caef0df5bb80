"""Inputs and outputs of the monitoring step, as described by the component `monitor_performance`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MonitoringRequest:
    """The model and rows to monitor, and the settings.

    Attributes:
        model: The champion's model artifact; may be absent.
        baseline: Its baseline artifact; may be absent.
        current_data: The newest rows, or logged predictions with their labels.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        label_delay_days: Days until labels are complete.
        margin: Smallest drop that matters; 0 uses the policy's.
        minimum_rows: Minimum number of rows to score; 20 uses the policy's.
        seed: Random seed for the bootstrap.
        predictions: ``champion`` or ``logged``.
        policy_config: The ``policy_config`` parameter.
        reference_data: Artifact of the rows that the champion was fitted on; may be None or absent.
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
    reference_data: Any = None


@dataclass(frozen=True)
class MonitoringOutputs:
    """Output artifacts: the JSON result, the report and the metrics."""

    performance_result: Any
    performance_report: Any
    metrics: Any
