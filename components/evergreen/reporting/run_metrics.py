"""The outcome of a run as the few numbers that the KFP UI shows and compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evergreen.reporting.summary import RunSummary
    from evergreen.runs.records import StepRecord


def run_metrics(summary: RunSummary, records: Sequence[StepRecord]) -> dict[str, float | None]:
    """Return the run's outcome and its decisive numbers, by display name; values that were not measured are None.

    KFP metrics are numbers, so the outcome is part of the metric's name. Its capital letter puts it first in the UI's alphabetical order.

    Args:
        summary: Summary of the run.
        records: Records of its steps.
    """
    details = {record.step_name: record.details for record in records}
    drift, performance = details.get("detect_drift", {}), details.get("monitor_performance", {})
    return {
        f"Outcome: {summary.outcome}": 1.0,
        "challenger score": _number(summary.evaluation.get("challenger_score")),
        "champion score": _number(summary.evaluation.get("champion_score")),
        "champion score now": _number(performance.get("score")),
        "difference": _number(summary.evaluation.get("difference")),
        "features that drifted": _drifted(drift),
    }


def _drifted(drift: Mapping[str, Any]) -> float | None:
    features = drift.get("features")
    # An inconclusive verdict does not mean that no feature drifted.
    if not isinstance(features, list) or drift.get("verdict") not in ("drift", "no drift"):
        return None
    return float(sum(isinstance(feature, dict) and bool(feature.get("drift")) for feature in features))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
