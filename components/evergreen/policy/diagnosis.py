"""What moved: the inputs, or the relation between inputs and label, or both, or neither."""

from __future__ import annotations

from typing import Any


def what_moved(drift: dict[str, Any], performance: dict[str, Any]) -> str:
    """Return in a sentence what the drift of the inputs and the champion's errors say together.

    Args:
        drift: The result of detect_drift.
        performance: The result of monitor_performance.
    """
    errors = performance.get("errors") or {}
    larger = errors.get("verdict") == "changed" and bool(errors.get("worse"))
    verdict, told = performance.get("verdict"), drift.get("verdict") in ("drift", "no drift")
    moved = drift.get("verdict") == "drift"
    if verdict not in ("holds", "degraded"):
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
