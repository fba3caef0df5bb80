"""The outcome of a run as the few numbers that the KFP UI shows and compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.step_results import read_step_results
from evergreen.results.repair import NOT_REPAIRED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.reporting.summary import RunSummary
    from evergreen.results.drift import DriftResult
    from evergreen.runs.records import StepRecord


def run_metrics(summary: RunSummary, records: Sequence[StepRecord]) -> dict[str, float | None]:
    """Return the run's outcome and its decisive numbers, by display name; values that were not measured are None.

    KFP metrics are numbers, so the outcome is part of the metric's name. Its capital letter puts it first in the UI's alphabetical order.

    Args:
        summary: Summary of the run.
        records: Records of its steps.
    """
    found = read_step_results(records)
    evaluation, performance = summary.evaluation, found.performance
    return {
        f"Outcome: {outcome_name(summary.outcome)}": 1.0,
        # In every run, so that a dashboard can chart it and an alert can compare it.
        outcome_name(NOT_REPAIRED): float(summary.repair is not None),
        "challenger score": evaluation.challenger_score if evaluation else None,
        "champion score": evaluation.champion_score if evaluation else None,
        "champion score now": performance.score if performance else None,
        "difference": evaluation.difference if evaluation else None,
        "features that drifted": _drifted(found.drift),
    }


def outcome_name(outcome: str) -> str:
    """Return an outcome as part of a metric's name: MLflow, to which KFP logs metrics, refuses commas."""
    return outcome.replace(", ", " and ")


def _drifted(drift: DriftResult | None) -> float | None:
    # An inconclusive verdict does not mean that no feature drifted.
    return float(sum(feature.drift for feature in drift.features)) if drift and drift.compared else None
