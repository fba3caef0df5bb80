"""Evidence as the steps before the decision write it."""

from __future__ import annotations

from typing import Any

from evergreen.errors import PolicyError
from evergreen.policy.evidence import Evidence
from evergreen.results.baseline import Baseline
from evergreen.results.drift import DriftResult
from evergreen.results.feedback import Feedback
from evergreen.results.performance import PerformanceResult


def evidence_of(
    drift: dict[str, Any],
    performance: dict[str, Any],
    baseline: dict[str, Any] | None,
    mode: str,
    window_end: str,
    *,
    feedback: dict[str, Any] | None = None,
    **more: Any,
) -> Evidence:
    """Return evidence from the JSON of the steps before the decision."""
    return Evidence(
        DriftResult.from_json(drift, source="drift result", error=PolicyError),
        PerformanceResult.from_json(performance, source="performance result", error=PolicyError),
        None if baseline is None else Baseline.from_json(baseline, source="baseline", error=PolicyError),
        mode,
        window_end,
        feedback=None if feedback is None else Feedback.from_json(feedback, source="feedback", error=PolicyError),
        **more,
    )
