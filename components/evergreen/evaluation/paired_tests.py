"""Analytic comparisons of two models on the same rows: DeLong for the area under the ROC curve, McNemar for accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.predictions import Interval, Predictions
from evergreen.metrics.ranks import midranks

if TYPE_CHECKING:
    from evergreen.metrics.scoring import Metric


@dataclass(frozen=True)
class PairedTest:
    """An analytic comparison: the difference, its interval, and the two-sided p-value of no difference."""

    name: str
    interval: Interval
    p_value: float


def analytic_test(metric: Metric, ours: Predictions, theirs: Predictions, *, confidence: float) -> PairedTest | None:
    """Return the analytic comparison for a metric, or None if there is none.

    Args:
        metric: accuracy, or roc_auc with two classes.
        ours: The challenger's predictions.
        theirs: The champion's predictions for the same rows.
        confidence: Confidence level of the interval.
    """
    if metric.name == "accuracy":
        return mcnemar(ours.predicted == ours.labels, theirs.predicted == theirs.labels, confidence=confidence)
    if metric.name == "roc_auc" and len(ours.classes) == 2 and list(ours.classes) == list(theirs.classes):
        if ours.probabilities is None or theirs.probabilities is None:
            return None
        return delong(ours.labels == ours.classes[-1], ours.probabilities[:, -1], theirs.probabilities[:, -1], confidence=confidence)
    return None


def mcnemar(ours_right: Any, theirs_right: Any, *, confidence: float = 0.95) -> PairedTest:
    """Compare two accuracies: McNemar's exact test, and the interval of paired proportions with Agresti and Min's correction.

    The test is McNemar's (Psychometrika 12, 1947) with binomial probabilities. The interval adds half a pair to each discordant cell
    (Agresti and Min, Statistics in Medicine 24, 2005), which keeps its coverage when few rows disagree.

    Args:
        ours_right: Whether the challenger is correct, shape (rows,).
        theirs_right: Whether the champion is correct, shape (rows,).
        confidence: Confidence level of the interval.
    """
    from scipy.stats import binomtest, norm

    gained, lost, rows = int(np.sum(ours_right & ~theirs_right)), int(np.sum(~ours_right & theirs_right)), len(ours_right)
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    up, down, total = gained + 0.5, lost + 0.5, rows + 2
    middle = (up - down) / total
    reach = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt(up + down - (up - down) ** 2 / total)) / total
    return PairedTest("McNemar", Interval((gained - lost) / rows, middle - reach, middle + reach), p_value)


def delong(truth: Any, ours: Any, theirs: Any, *, confidence: float = 0.95) -> PairedTest | None:
    """Compare two areas under the ROC curve by DeLong's test (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).

    Computed from midranks in O(rows log rows) (Sun and Xu, IEEE Signal Processing Letters 21, 2014).

    Args:
        truth: Whether a row is positive, shape (rows,).
        ours: The challenger's scores.
        theirs: The champion's scores.
        confidence: Confidence level of the interval.

    Returns:
        The comparison, or None if a class has fewer than two rows.
    """
    from scipy.stats import norm

    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives < 2 or negatives < 2:
        return None
    areas, by_positive, by_negative = [], [], []
    for scores in (ours, theirs):
        ranks = midranks(scores)
        by_positive.append((ranks[truth] - midranks(scores[truth])) / negatives)
        by_negative.append(1 - (ranks[~truth] - midranks(scores[~truth])) / positives)
        areas.append(float(by_positive[-1].mean()))
    variance = np.var(by_positive[0] - by_positive[1], ddof=1) / positives + np.var(by_negative[0] - by_negative[1], ddof=1) / negatives
    difference, error = areas[0] - areas[1], float(np.sqrt(variance))
    reach = float(norm.ppf((1 + confidence) / 2)) * error
    p_value = float(2 * norm.sf(abs(difference) / error)) if error > 0 else 1.0
    return PairedTest("DeLong", Interval(difference, difference - reach, difference + reach), p_value)
