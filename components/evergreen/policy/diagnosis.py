"""Diagnosis of what changed: the inputs, the relation between inputs and label, both, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.results.drift import DriftResult
    from evergreen.results.performance import PerformanceResult


def what_moved(drift: DriftResult, performance: PerformanceResult) -> str:
    """Return one sentence on what input drift and the champion's errors indicate together.

    Args:
        drift: The result of detect_drift.
        performance: The result of monitor_performance.
    """
    errors = performance.errors
    larger = errors is not None and errors.verdict == "changed" and errors.worse
    verdict, told, moved = performance.verdict, drift.compared, drift.verdict == "drift"
    if not performance.measured:
        if not told or verdict == "no champion":
            return ""
        inputs = "The inputs changed" if moved else "The inputs look the same"
        return f"{inputs}; without labels, it is unknown whether the model still performs well."
    if not told:
        fine = "The model performs worse" if verdict == "degraded" else "The model still performs well"
        return f"{fine}; it is unknown whether the inputs changed."
    if verdict == "degraded" or larger:
        how = "the model performs worse" if verdict == "degraded" else "the champion's errors are larger, although its score is not worse"
        if moved:
            return f"The inputs changed, and {how}."
        return f"The inputs look the same, but {how}: the relation between inputs and label changed (concept drift)."
    return "The inputs changed, but the model still performs well." if moved else "Neither the inputs nor the champion's errors changed."
