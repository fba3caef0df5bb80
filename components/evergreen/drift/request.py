"""Inputs and outputs of the drift detection step, as described by the component `detect_drift`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DriftRequest:
    """The datasets to compare, and the settings.

    Attributes:
        reference_data: Dataset artifact; may be absent.
        current_data: Dataset artifact.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        model: The champion's model artifact, to also compare its predictions; may be absent.
        config: The ``config`` parameter.
        seed: Random seed for sampling.
    """

    reference_data: Any
    current_data: Any
    target_column: str
    timestamp_column: str
    model: Any = None
    config: str = "default"
    seed: int = 7


@dataclass(frozen=True)
class DriftOutputs:
    """Output artifacts: the JSON result, the report and the metrics."""

    drift_result: Any
    drift_report: Any
    metrics: Any
