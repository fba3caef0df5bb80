"""The champion's track record: its score at promotion and its scores in the windows since."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.policy.history import since_champion
from evergreen.results.decision import Measurement
from evergreen.results.performance import ExpectedScore

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.results.performance import PerformanceResult


def with_track_record(evidence: Evidence) -> Evidence:
    """Return the evidence with performance compared with the score expected from the champion's whole track record.

    A champion was promoted because it scored high on its holdout, but the highest of several scores is partly high by chance. On its own, it is a
    baseline that the model would never reach again. The windows in which the champion did not degrade show how good it really is. The score at promotion
    and the scores in these windows are weighted like studies in a random-effects meta-analysis (DerSimonian and Laird, Controlled Clinical Trials 7,
    1986), and the new window is compared with the prediction interval (Higgins, Thompson and Spiegelhalter, Journal of the Royal Statistical
    Society A 172, 2009): if earlier windows differed by more than chance, the new one may do so, too. The score at promotion itself
    stays what it was.

    Args:
        evidence: The evidence. Returned unchanged if performance was not measured, or there is no score and interval to compare it with.
    """
    result = evidence.performance
    now = _estimate(result.score, result.lower, result.upper)
    promotion = _estimate(result.baseline_score, result.baseline_lower, result.baseline_upper)
    if now is None or promotion is None or not result.measured:
        return evidence
    measurements = [past.measured for past in since_champion(evidence) if past.measured and "performance" not in past.fired]
    known = [_estimate(seen.score, seen.lower, seen.upper) for seen in measurements if seen.metric == result.metric]
    windows = [estimate for estimate in known if estimate is not None]
    if not windows:
        return evidence
    record = _pooled([promotion, *windows])
    mean, error = record.mean, record.error
    # Some windows are harder than others: a new one may be as far from the mean as earlier ones were.
    drop, drop_error = mean - now[0], math.sqrt(error**2 + record.between + now[1] ** 2)
    lower = drop - NORMAL_QUANTILE * drop_error
    compared = replace(
        result,
        verdict="degraded" if lower > 0 and drop > result.margin else "holds",
        expected=ExpectedScore(mean, mean - NORMAL_QUANTILE * error, mean + NORMAL_QUANTILE * error, len(windows)),
        drop=drop,
        drop_lower=lower,
        drop_upper=drop + NORMAL_QUANTILE * drop_error,
    )
    return replace(evidence, performance=compared, windows_compared=len(windows))


def measured(performance: PerformanceResult) -> Measurement | None:
    """Return the metric, score and interval of a monitor_performance result, for later decisions; None when nothing was measured."""
    if not performance.measured or _estimate(performance.score, performance.lower, performance.upper) is None:
        return None
    return Measurement(performance.metric, performance.score, performance.lower, performance.upper)


def at_promotion(performance: PerformanceResult) -> Measurement | None:
    """Return the metric, score and interval at the champion's promotion; None if they are unknown."""
    if performance.baseline_score is None:
        return None
    return Measurement(performance.metric, performance.baseline_score, performance.baseline_lower, performance.baseline_upper)


@dataclass(frozen=True)
class _PooledEstimate:
    """The mean of several estimates, its standard error, and the variance between the estimated quantities."""

    mean: float
    error: float
    between: float


def _pooled(estimates: list[tuple[float, float]]) -> _PooledEstimate:
    alone = [error**-2 for _, error in estimates]
    mean = _mean(alone, estimates)
    spread = sum(weight * (score - mean) ** 2 for weight, (score, _) in zip(alone, estimates, strict=True))
    scale = sum(alone) - sum(weight**2 for weight in alone) / sum(alone)
    between = max(0.0, (spread - (len(estimates) - 1)) / scale)
    weights = [1 / (error**2 + between) for _, error in estimates]
    return _PooledEstimate(_mean(weights, estimates), sum(weights) ** -0.5, between)


def _mean(weights: list[float], estimates: list[tuple[float, float]]) -> float:
    return sum(weight * score for weight, (score, _) in zip(weights, estimates, strict=True)) / sum(weights)


def _estimate(score: float | None, lower: float | None, upper: float | None) -> tuple[float, float] | None:
    """Return a score and its standard error; None if there is no interval, or one of zero width, which says nothing about the error."""
    if score is None or lower is None or upper is None or not upper > lower:
        return None
    return score, (upper - lower) / (2 * NORMAL_QUANTILE)
