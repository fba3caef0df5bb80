"""What moved: the inputs, or the relation between inputs and label, or both, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.results.drift import DriftResult
    from evergreen.results.performance import PerformanceResult


def what_moved(drift: DriftResult, performance: PerformanceResult) -> str:
    """Return in a sentence what the drift of the inputs and the champion's errors say together.

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
        inputs = "The inputs moved" if moved else "The inputs look the same"
        return f"{inputs}; whether the model is still fine cannot be told without labels."
    if not told:
        fine = "The model is worse" if verdict == "degraded" else "The model is still fine"
        return f"{fine}; whether the inputs moved cannot be told."
    if verdict == "degraded" or larger:
        how = "the model is worse" if verdict == "degraded" else "the champion's errors are larger, though not its score worse"
        if moved:
            return f"The inputs moved, and {how}."
        return f"The inputs look the same, and {how}: the relation between inputs and label changed (concept drift)."
    return "The inputs moved, and the model is still fine." if moved else "Neither the inputs nor the champion's errors moved."
