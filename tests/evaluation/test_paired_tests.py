from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from evergreen.evaluation.paired_tests import analytic_test, delong, mcnemar
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.scoring import paired_bootstrap, resolve_metric


def models(rows: int = 800, seed: int = 0) -> tuple[Predictions, Predictions]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    made = []
    for noise in (0.8, 1.2):
        positive = 1 / (1 + np.exp(-(labels - 0.5 + random.normal(0, noise, rows))))
        made.append(Predictions(labels, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), (0, 1)))
    return made[0], made[1]


@pytest.mark.parametrize(("metric", "name"), [("roc_auc", "DeLong"), ("accuracy", "McNemar")])
def test_the_analytic_interval_agrees_with_the_bootstrap(metric: str, name: str) -> None:
    ours, theirs = models()
    test = analytic_test(resolve_metric(metric, "classification"), ours, theirs, confidence=0.95)
    assert test is not None
    drawn = paired_bootstrap(resolve_metric(metric, "classification"), ours, theirs)
    assert test.name == name
    assert test.interval.score == pytest.approx(drawn.score)
    assert test.interval.lower == pytest.approx(drawn.lower, abs=0.004)
    assert test.interval.upper == pytest.approx(drawn.upper, abs=0.004)
    assert (test.p_value < 0.05) == (drawn.lower > 0)


def test_delong_by_the_definition_of_its_variance() -> None:
    random = np.random.default_rng(1)
    truth = np.array([True] * 9 + [False] * 7)
    first, second = np.round(random.normal(truth * 1.0), 1), np.round(random.normal(truth * 0.5), 1)
    found = delong(truth, first, second)
    assert found is not None
    assert found.interval.score == pytest.approx(roc_auc_score(truth, first) - roc_auc_score(truth, second))
    # Structural components, pair by pair.
    kernels = [(np.sign(scores[truth][:, None] - scores[~truth][None, :]) + 1) / 2 for scores in (first, second)]
    gap = kernels[0] - kernels[1]
    error = np.sqrt(gap.mean(axis=1).var(ddof=1) / 9 + gap.mean(axis=0).var(ddof=1) / 7)
    assert found.interval.upper - found.interval.score == pytest.approx(1.959964 * error, rel=1e-6)


def test_mcnemar_counts_only_rows_on_which_the_models_part() -> None:
    ours = np.array([True] * 80 + [True] * 12 + [False] * 3 + [False] * 5)
    theirs = np.array([True] * 80 + [False] * 12 + [True] * 3 + [False] * 5)
    found = mcnemar(ours, theirs)
    assert found.p_value == pytest.approx(binomtest(12, 15).pvalue)
    assert found.interval.score == pytest.approx(0.09)
    assert mcnemar(ours, ours).p_value == 1.0
    assert mcnemar(ours, ours).interval.lower < 0 < mcnemar(ours, ours).interval.upper


def test_there_is_none_for_other_metrics_and_for_too_few_rows() -> None:
    ours, theirs = models()
    assert analytic_test(resolve_metric("f1", "classification"), ours, theirs, confidence=0.95) is None
    assert delong(np.array([True, False, False]), np.arange(3.0), np.arange(3.0)) is None
    silent = Predictions(ours.labels, ours.predicted, None, (0, 1))
    assert analytic_test(resolve_metric("roc_auc", "classification"), silent, theirs, confidence=0.95) is None
