"""What a drift step is given and what it writes, as the component `detect_drift` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DriftRequest:
    """What is compared, and how.

    Attributes:
        reference_data: Dataset artifact; may be absent.
        current_data: Dataset artifact.
        target_column: The label.
        timestamp_column: The event time.
        model: The champion's model artifact, to compare its predictions too; may be absent.
        config: The ``config`` parameter.
        seed: Seed of the samples.
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
    """Output artifacts: the JSON, the page and the numbers."""

    drift_result: Any
    drift_report: Any
    metrics: Any
