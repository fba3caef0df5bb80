"""The gate: the rules that turn scores and intervals into ``promote`` or ``reject``, with reasons."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from evergreen.data.artifacts import is_present, read_json
from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.metrics.predictions import ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.results.decision import Decision
from evergreen.settings.policy_sections import read_policy_section

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Interval, Predictions
    from evergreen.metrics.scoring import Metric


@dataclass(frozen=True)
class Gate:
    """The requirements for a challenger.

    Attributes:
        margin: Value that the lower bound of the difference must exceed, in units of the metric. A negative margin allows non-inferiority.
        minimum_rows: Minimum number of rows to compare on; with fewer, the comparison is inconclusive.
        confidence: Confidence level of the intervals.
        resamples: Number of bootstrap resamples.
        seed: Random seed for the resamples.
        floors: Minimum score of the challenger by scorer name, in addition to those of the policy and taking precedence over them.
        settings: Further requirements from the policy.
        champion_stale: Whether the policy found the champion stale.
    """

    margin: float = 0.0
    minimum_rows: int = 30
    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 7
    floors: dict[str, float] = field(default_factory=dict)
    settings: GateSettings = field(default_factory=GateSettings)
    champion_stale: bool = False


@dataclass(frozen=True)
class Ruling:
    """The gate's ruling."""

    verdict: Literal["promote", "reject"]
    conclusion: str
    reasons: list[str]


def parse_gate(
    *, margin: float, minimum_rows: int, confidence: float, resamples: int, seed: int, floors: str, policy_config: str = "default", champion_stale: bool = False
) -> Gate:
    """Validate the gate's settings.

    Raises:
        EvaluationError: A setting is out of range, or the floors cannot be parsed.
        PolicyError: The policy is invalid.
    """
    if not math.isfinite(margin):
        raise EvaluationError(f"Invalid evaluation_margin {margin}: expected a finite number in units of the metric, such as 0.0.")
    if minimum_rows < 2:
        raise EvaluationError(f"Invalid minimum_rows {minimum_rows}: expected at least 2, because fewer rows have no variance. Use 30 or more.")
    if not 0 < confidence < 1:
        raise EvaluationError(f"Invalid confidence {confidence}: expected a share between 0 and 1, such as 0.95.")
    if resamples < 200:
        raise EvaluationError(f"Invalid resamples {resamples}: expected at least 200, because with fewer the bounds are mostly noise. Use 2000.")
    try:
        parsed = json.loads(floors)
    except json.JSONDecodeError as error:
        raise EvaluationError(f'Invalid floors {floors[:200]!r}: not JSON: {error}. Use an object such as {{"accuracy": 0.7}}.') from error
    if not isinstance(parsed, dict) or not all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) for value in parsed.values()
    ):
        raise EvaluationError(f'Invalid floors {floors[:200]!r}: expected a number for each scorer. Use an object such as {{"accuracy": 0.7}}.')
    given = {str(name): float(value) for name, value in parsed.items()}
    return Gate(margin, minimum_rows, confidence, resamples, seed, given, read_policy_section(policy_config, "gate", GateSettings), champion_stale)


def is_champion_stale(decision: Any) -> bool:
    """Return whether a decision, where one was made, found the champion stale.

    Args:
        decision: The artifact of decide_retraining; may be absent.

    Raises:
        EvaluationError: It holds something else.
    """
    if not is_present(decision):
        return False
    return Decision.from_json(read_json(decision.path), source=f"decision {decision.path}", error=EvaluationError).champion_stale


def missed_floors(gate: Gate, challenger: Predictions, task: str) -> list[str]:
    """Return one sentence for each floor that the challenger misses.

    Raises:
        EvaluationError: A floor names an unknown scorer for the task.
    """
    missed = []
    for name, floor in {**gate.settings.floors, **gate.floors}.items():
        try:
            metric = resolve_metric(name, task)
        except ScoringError as error:
            raise EvaluationError(f"{'floors' if name in gate.floors else 'policy_config: gate.floors'}: {error}") from error
        try:
            score = metric.score_rows(challenger)
        except ScoringError as error:
            missed.append(f"The floor for {metric.name} cannot be checked: {error}")
            continue
        if score < floor:
            missed.append(f"{metric.name} is {score:.4g}, below the floor of {floor:.4g}.")
    return missed


def rule_without_champion(metric: Metric, over_naive: Interval, missed: list[str]) -> Ruling:
    """Rule on a challenger that only has to beat a constant.

    Args:
        metric: The metric.
        over_naive: Challenger's score minus the constant's, with its interval.
        missed: Sentences about floors that were missed.
    """
    if missed:
        return Ruling("reject", "below floor", missed)
    span = f"the interval of its gain in {metric.name} is {over_naive.lower:.4g} to {over_naive.upper:.4g}"
    if over_naive.lower > 0:
        return Ruling("promote", "no champion", [f"There is no champion, and the challenger is better than a constant: {span}."])
    return Ruling(
        "reject",
        "not better",
        [f"There is no champion. There is no reliable evidence that the challenger beats a constant: {span}."],
    )


def rule_against_champion(
    metric: Metric,
    difference: Interval,
    gate: Gate,
    *,
    challenger_score: float,
    naive_score: float,
    missed: list[str],
    constant: bool = False,
    enough: bool = True,
) -> Ruling:
    """Rule on a challenger against the champion.

    Args:
        metric: The metric.
        difference: Challenger's score minus the champion's on the same rows, with its interval.
        gate: The gate.
        challenger_score: The challenger's score.
        naive_score: The score of the best constant.
        missed: Sentences about floors that were missed.
        constant: Whether the challenger is the constant baseline, which the policy allows: it need not beat itself, but it must be better than the
            champion beyond doubt.
        enough: Whether there are enough rows for a higher score to be sufficient against a stale champion.
    """
    span = f"the interval of the difference in {metric.name} is {difference.lower:.4g} to {difference.upper:.4g}"
    if challenger_score <= naive_score and not constant:
        missed = [*missed, f"{metric.name} is {challenger_score:.4g}, no better than a constant's {naive_score:.4g}."]
    if missed:
        return Ruling("reject", "below floor", missed)
    if difference.lower > gate.margin:
        how = "better than the champion" if gate.margin >= 0 else "no worse than the champion by more than the margin"
        return Ruling("promote", "better", [f"The challenger is {how}: {span}, above the margin of {gate.margin:.4g}."])
    if difference.upper < min(0.0, gate.margin):
        return Ruling("reject", "worse", [f"The challenger is worse than the champion: {span}."])
    if gate.champion_stale and enough and gate.settings.stale_champion == "higher_score" and difference.score > max(0.0, gate.margin):
        ahead = f"the challenger scores higher on the same rows by {difference.score:.4g}"
        return Ruling("promote", "better than a stale champion", [f"The policy found the champion stale, and {ahead}, which is then sufficient; {span}."])
    return Ruling(
        "reject",
        "not better",
        [f"There is no reliable evidence that the challenger beats the champion: {span}; its lower bound must be above {gate.margin:.4g}."],
    )
