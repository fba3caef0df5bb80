"""Diagnosis of what changed: the inputs, the relation between inputs and label, both, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.results.drift import DriftResult
    from evergreen.results.performance import PerformanceResult

SAME = "The inputs look the same"


def what_moved(drift: DriftResult, performance: PerformanceResult) -> str:
    """Return one or two sentences on what input drift and the champion's errors indicate together.

    If the score or the errors became worse, it is said how much of the loss the drift explains and how much it does not. Drifting features count by
    their importance to the champion.

    Args:
        drift: The result of detect_drift.
        performance: The result of monitor_performance, compared with the champion's track record if there is one.
    """
    errors = performance.errors
    larger = errors is not None and errors.verdict == "changed" and errors.worse
    told, moved = drift.compared, drift.verdict == "drift"
    if not performance.measured:
        if not told or performance.verdict == "no champion":
            return ""
        return f"{_inputs(drift)}; without labels, it is unknown whether the model still performs well."
    if performance.verdict == "degraded" or larger:
        return _why_worse(drift, performance)
    if not told:
        return "The model still performs well; it is unknown whether the inputs changed."
    return f"{_inputs(drift)}, but the model still performs well." if moved else "Neither the inputs nor the champion's errors changed."


def _inputs(drift: DriftResult) -> str:
    if drift.verdict != "drift":
        return SAME
    if drift.drifted and drift.weighted_by_importance and drift.share_drifted is not None:
        return f"Features with {drift.share_drifted:.0%} of the importance to the champion changed"
    # Predictions alone, or only the features together, may have drifted, too.
    return "The inputs changed" if drift.drifted or drift.multivariate.drift or drift.prediction is None else "The champion's predictions changed"


def _why_worse(drift: DriftResult, performance: PerformanceResult) -> str:
    worse = "the model performs worse" if performance.verdict == "degraded" else "the champion's errors are larger, although its score is not worse"
    explained = performance.explained
    if explained is not None and explained.verdict != "cannot tell":
        return f"{_inputs(drift)}. {explained.sentence}" if drift.compared else explained.sentence
    if not drift.compared:
        return f"{worse[0].upper()}{worse[1:]}; it is unknown whether the inputs changed."
    if drift.verdict != "drift":
        return f"{SAME}, but {worse}: the relation between inputs and label changed (concept drift)."
    unknown = "it is unknown how much of the loss the inputs' drift explains"
    if explained is None:
        return f"{_inputs(drift)}, and {worse}; {unknown}."
    if explained.explained is not None:
        return f"{_inputs(drift)}. {explained.sentence}"
    return f"{_inputs(drift)}, and {worse}; {unknown}, because {explained.reason}."
