"""The gate's checks in addition to the comparison on the first metric, and how they change the ruling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evergreen.evaluation.calibration import measure_calibration
from evergreen.evaluation.checks import Check, within
from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.fairness import check_fairness
from evergreen.evaluation.gate import Ruling
from evergreen.evaluation.golden import check_golden
from evergreen.evaluation.stress import check_stress
from evergreen.metrics.predictions import ScoringError
from evergreen.metrics.scoring import paired_bootstraps, resolve_metric
from evergreen.metrics.slices import Draws, SliceScore, find_slices, score_slices

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.evaluation.gate import Gate
    from evergreen.metrics.predictions import Predictions
    from evergreen.metrics.scoring import Metric
    from evergreen.models.fitted import FittedModel
    from evergreen.results.baseline import Calibration


@dataclass
class Findings:
    """The results of the checks."""

    checks: list[Check] = field(default_factory=list)
    slices: list[SliceScore] = field(default_factory=list)
    calibration: Calibration | None = None


def run_checks(model: FittedModel, frame: pd.DataFrame, ours: Predictions, theirs: Predictions | None, *, metric: Metric, gate: Gate) -> Findings:
    """Run the checks that the gate is configured for, and those that cost nothing.

    Args:
        model: The challenger.
        frame: The rows compared.
        ours: The challenger's predictions.
        theirs: The champion's, when it can be scored.
        metric: The first metric.
        gate: The gate.

    Raises:
        EvaluationError: The configuration names an unknown column, class or metric.
    """
    settings = gate.settings
    found = Findings(calibration=measure_calibration(ours))
    parts = find_slices(frame, settings.slices, margin=settings.slice_margin, setting="gate.slices", error_class=EvaluationError)
    draws = Draws(gate.confidence, gate.resamples, gate.seed)
    found.slices = score_slices(parts, ours, theirs, metric=metric, draws=draws, minimum_rows=settings.slice_minimum_rows)
    found.checks = [
        *(_check_answers(ours) if model.description.origin != "constant baseline" else []),
        *_check_other_metrics(ours, theirs, model.description.task, gate),
        *(check_slices(found.slices) if theirs is not None else []),
        *(check_fairness(frame, ours, settings.fairness, minimum_rows=settings.slice_minimum_rows) if settings.fairness else []),
        *_check_calibration(found.calibration, settings.calibration_error),
        *check_stress(model, frame, limit=settings.stress_change, label_spread=_spread(ours)),
        *check_golden(model, settings.golden),
    ]
    return found


def _spread(ours: Predictions) -> float:
    return 0.0 if len(ours.classes) else float(np.std(ours.labels))


def _check_answers(ours: Predictions) -> list[Check]:
    checks = []
    said = ours.predicted if ours.probabilities is None else ours.probabilities
    if bool((said == said[0]).all()):
        checks.append(Check("one answer", "failed", f"The challenger predicts the same for all {len(ours)} rows: {ours.predicted[0]}. It has learned nothing."))
    if not len(ours.classes):
        return checks
    present = {value.item() if hasattr(value, "item") else value for value in np.unique(ours.labels)}
    strange = sorted(present - set(ours.classes))
    absent = [value for value in ours.classes if value not in present]
    if strange:
        rows = int(np.isin(ours.labels, strange).sum())
        checks.append(Check("new classes", "measured", f"{rows} rows belong to classes that the challenger has never seen and gets wrong: {strange}."))
    if absent:
        checks.append(Check("missing classes", "measured", f"No compared row belongs to class {', '.join(map(str, absent))}, so performance on it is unknown."))
    return checks


def _check_other_metrics(ours: Predictions, theirs: Predictions | None, task: str, gate: Gate) -> list[Check]:
    checks = []
    for name, margin in gate.settings.other_metrics.items():
        try:
            metric = resolve_metric(name, task)
        except ScoringError as error:
            raise EvaluationError(f"policy_config: gate.other_metrics: {error}") from error
        if theirs is None:
            continue
        label = f"metric {metric.name}"
        try:
            found = paired_bootstraps([metric], ours, theirs, confidence=gate.confidence, resamples=gate.resamples, seed=gate.seed)[metric.name]
        except ScoringError as error:
            checks.append(Check(label, "cannot tell", f"The models cannot be compared by {metric.name}: {error}"))
            continue
        span = f"the interval of the difference in {metric.name} is {found.lower:.4g} to {found.upper:.4g}"
        numbers = {"difference": found.score, "lower": found.lower, "upper": found.upper, "margin": margin}
        if found.lower >= -margin:
            checks.append(Check(label, "passed", f"Not worse by more than {margin:.4g}: {span}.", numbers))
        else:
            checks.append(Check(label, "failed", f"Cannot rule out being worse by more than {margin:.4g}: {span}.", numbers))
    return checks


def _check_calibration(calibration: Calibration | None, limit: float | None) -> list[Check]:
    if calibration is None:
        return [] if limit is None else [Check("calibration", "cannot tell", "The challenger provides no probabilities, so its calibration is unknown.")]
    return [within("calibration", calibration.error, limit, what="The expected calibration error")]


def apply_checks(ruling: Ruling, checks: list[Check], *, when_unclear: str) -> Ruling:
    """Return the ruling with the checks applied: a failed check rejects; an inconclusive one follows the policy.

    Args:
        ruling: The ruling on the first metric.
        checks: The checks.
        when_unclear: ``reject`` or ``promote``.
    """
    failed = [check for check in checks if check.verdict == "failed"]
    unclear = [check for check in checks if check.verdict == "cannot tell"]
    if ruling.verdict != "promote":
        return Ruling(ruling.verdict, ruling.conclusion, [*ruling.reasons, *(check.sentence for check in failed)])
    if failed:
        return Ruling("reject", "failed check", [*(check.sentence for check in failed), *ruling.reasons])
    if unclear and when_unclear == "reject":
        return Ruling("reject", "cannot tell", [*(check.sentence for check in unclear), *ruling.reasons])
    return Ruling(ruling.verdict, ruling.conclusion, [*ruling.reasons, *(check.sentence for check in unclear)])


def check_slices(scores: list[SliceScore]) -> list[Check]:
    """Return one check over all slices: failed if the challenger is demonstrably worse on any of them."""
    if not scores:
        return []
    worse = [item for item in scores if item.verdict == "worse"]
    judged = sum(item.verdict in ("worse", "not worse") for item in scores)
    if not worse:
        return [Check("slices", "passed", f"On none of {judged} slices is the challenger demonstrably worse by more than the margin ({len(scores)} examined).")]
    named = "; ".join(f"{item.name} ({item.rows} rows): {item.difference:.4g}, interval {item.lower:.4g} to {item.upper:.4g}" for item in worse)
    return [Check("slices", "failed", f"The challenger is worse by more than the margin on {len(worse)} of {judged} slices: {named}.")]
