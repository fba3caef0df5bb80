from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from evergreen.metrics.predictions import Predictions, ScoringError
from evergreen.metrics.scoring import bootstrap_interval, paired_bootstrap, paired_bootstraps, resolve_metric
from evergreen.metrics.sufficient_statistics import CellStatistics, MeanStatistics, Statistics, auc_of_counts


def coin(rows: int = 400, seed: int = 0, noise: float = 0.3) -> Predictions:
    random = np.random.default_rng(seed)
    labels = np.random.default_rng(99).integers(0, 2, rows)
    probability = np.clip(labels * 0.4 + 0.3 + random.normal(0, noise, rows), 0, 1)
    return Predictions(labels, (probability > 0.5).astype(int), np.column_stack([1 - probability, probability]), (0, 1))


def test_auto_is_accuracy_or_absolute_error() -> None:
    assert resolve_metric("auto", "classification").name == "accuracy"
    assert resolve_metric("auto", "regression").name == "neg_mean_absolute_error"


def test_scores_agree_with_scikit_learn() -> None:
    rows = coin()
    assert rows.probabilities is not None
    assert resolve_metric("auto", "classification").score(rows.labels, rows.predicted) == pytest.approx(accuracy_score(rows.labels, rows.predicted))
    auc = resolve_metric("roc_auc", "classification").score(rows.labels, rows.predicted, rows.probabilities, rows.classes)
    assert auc == pytest.approx(roc_auc_score(rows.labels, rows.probabilities[:, 1]))
    truth, guess = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 1.0])
    assert resolve_metric("auto", "regression").score(truth, guess) == pytest.approx(-4 / 3)
    assert resolve_metric("neg_mean_squared_error", "regression").score(truth, guess) == pytest.approx(-10 / 3)
    assert resolve_metric("r2", "regression").score(truth, guess) == pytest.approx(1 - 10 / (14 / 3))


def test_text_labels() -> None:
    labels = np.array(["no", "yes", "yes", "no"], dtype=object)
    probability = np.array([0.1, 0.9, 0.4, 0.3])
    rows = Predictions(labels, np.where(probability > 0.5, "yes", "no").astype(object), np.column_stack([1 - probability, probability]), ("no", "yes"))
    assert resolve_metric("accuracy", "classification").score_rows(rows) == 0.75
    assert resolve_metric("roc_auc", "classification").score_rows(rows) == 1.0


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    metric = resolve_metric("auto", "classification")
    hits = 0
    for seed in range(200):
        labels = np.zeros(150, dtype=int)
        predicted = (np.random.default_rng(seed).random(150) > 0.8).astype(int)
        interval = bootstrap_interval(metric, Predictions(labels, predicted), resamples=500, seed=seed)
        hits += interval.lower <= 0.8 <= interval.upper
    assert 180 <= hits <= 198


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy"])
def test_intervals_are_repeatable_and_narrow_with_rows(name: str) -> None:
    metric = resolve_metric(name, "classification")
    once, again = (bootstrap_interval(metric, coin(), resamples=300, seed=3) for _ in range(2))
    assert once == again
    assert bootstrap_interval(metric, coin(), resamples=300, seed=4) != once
    wide = bootstrap_interval(metric, coin(rows=40), resamples=300)
    assert wide.upper - wide.lower > 2 * (once.upper - once.lower)


def test_many_distinct_errors_take_the_general_path() -> None:
    random = np.random.default_rng(1)
    labels = random.normal(size=5000)
    rows = Predictions(labels, labels + random.normal(size=5000))
    interval = bootstrap_interval(resolve_metric("auto", "regression"), rows)
    error = np.abs(rows.predicted - labels).std() / np.sqrt(5000)
    assert (interval.upper - interval.lower) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def test_the_paired_difference_is_narrower_than_two_intervals() -> None:
    metric = resolve_metric("roc_auc", "classification")
    good = coin(noise=0.3)
    assert good.probabilities is not None
    worse = Predictions(good.labels, good.predicted, good.probabilities + np.random.default_rng(5).normal(0, 0.02, good.probabilities.shape), (0, 1))
    paired = paired_bootstrap(metric, good, worse, resamples=300)
    single = bootstrap_interval(metric, good, resamples=300)
    assert paired.upper - paired.lower < (single.upper - single.lower) / 2
    assert paired.lower <= paired.score <= paired.upper


def test_names_and_arguments_that_are_wrong() -> None:
    with pytest.raises(ScoringError, match=r"metric 'goodness': unknown name\. Valid metrics: auto, accuracy"):
        resolve_metric("goodness", "classification")
    with pytest.raises(ScoringError, match="metric 'neg_mean_absolute_error': is for regression, but the task is classification"):
        resolve_metric("neg_mean_absolute_error", "classification")
    with pytest.raises(ScoringError, match="task 'ranking': expected classification or regression"):
        resolve_metric("auto", "ranking")
    metric = resolve_metric("auto", "classification")
    with pytest.raises(ScoringError, match=r"confidence 1\.5: expected a share"):
        bootstrap_interval(metric, coin(), confidence=1.5)
    with pytest.raises(ScoringError, match="resamples 5: expected at least 200"):
        bootstrap_interval(metric, coin(), resamples=5)
    with pytest.raises(ScoringError, match="found 400 and 40 rows or other labels"):
        paired_bootstrap(metric, coin(), coin(rows=40))


def test_metrics_that_are_not_defined() -> None:
    one_class = Predictions(np.ones(30, dtype=int), np.ones(30, dtype=int), np.full((30, 2), 0.5), (0, 1))
    metric = resolve_metric("roc_auc", "classification")
    with pytest.raises(ScoringError, match="'roc_auc': not defined on these 30 rows, whose labels are: 1"):
        bootstrap_interval(metric, one_class)
    with pytest.raises(ScoringError, match="there are no labelled rows to score"):
        metric.score(np.array([]), np.array([]))
    with pytest.raises(ScoringError, match="'roc_auc': not defined on these 4 rows for classification"):
        metric.score(np.array([0, 1, 0, 1]), np.array([0, 1, 0, 1]))
    rare = np.zeros(30, dtype=int)
    rare[0] = 1
    almost = Predictions(rare, rare, np.column_stack([1.0 - rare, rare]), (0, 1))
    # A third of the resamples miss the one positive row: they are left out, and the rest give an interval.
    assert bootstrap_interval(metric, almost, resamples=200).score == 1.0
    assert np.isfinite(bootstrap_interval(metric, almost, resamples=200).lower)


def classes_of_three(rows: int = 300, seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    labels = random.choice(["a", "b", "c"], rows).astype(object)
    weights = random.random((rows, 3)) + (labels[:, None] == np.array(["a", "b", "c"], dtype=object)) * 0.5
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return Predictions(labels, np.array(["a", "b", "c"], dtype=object)[probabilities.argmax(axis=1)], probabilities, ("a", "b", "c"))


AVERAGES = [f"{kind}_{average}" for kind in ("f1", "precision", "recall") for average in ("macro", "micro", "weighted")]
QUICK = [("accuracy", coin()), ("balanced_accuracy", coin()), ("f1", coin()), ("precision", coin()), ("recall", coin()), ("roc_auc", coin())]
QUICK += [("neg_log_loss", coin()), ("neg_brier_score", coin()), *((name, classes_of_three()) for name in [*AVERAGES, "neg_log_loss", "balanced_accuracy"])]


@pytest.mark.parametrize(("name", "rows"), QUICK, ids=[f"{name}-{len(rows.classes)}" for name, rows in QUICK])
def test_the_short_way_gives_what_the_scorer_gives_on_every_draw(name: str, rows: Predictions) -> None:
    metric = resolve_metric(name, "classification")
    found = metric.statistics(rows, metric.score_rows(rows))
    assert found is not None
    random = np.random.default_rng(4)
    draws = [random.integers(0, len(rows), len(rows)) for _ in range(5)] + [np.arange(len(rows)), np.repeat(np.arange(7), 3)]
    expected = metric.resampled(rows, draws)
    assert [score_on(found, draw, len(rows)) for draw in draws] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["neg_mean_absolute_error", "neg_mean_squared_error", "neg_root_mean_squared_error", "r2"])
def test_the_short_way_for_regression(name: str) -> None:
    random = np.random.default_rng(1)
    labels = random.normal(1e6, 1.0, 400)
    rows = Predictions(labels, labels + random.normal(size=400))
    metric = resolve_metric(name, "regression")
    found = metric.statistics(rows, metric.score_rows(rows))
    assert found is not None
    draws = [random.integers(0, 400, 400) for _ in range(5)]
    assert [score_on(found, draw, 400) for draw in draws] == pytest.approx(metric.resampled(rows, draws), rel=1e-8)


def score_on(statistics: Statistics, draw: np.ndarray, rows: int) -> float:
    counts = np.bincount(draw, minlength=rows)
    if isinstance(statistics, CellStatistics):
        cells = np.bincount(statistics.codes[draw], minlength=statistics.classes**2).reshape(1, statistics.classes, -1).astype(float)
        return float(statistics.finish(cells)[0])
    if isinstance(statistics, MeanStatistics):
        return float(statistics.finish(counts[None, :] @ statistics.columns / len(draw))[0])
    return float(auc_of_counts(statistics, counts[None, :])[0])


def test_the_short_way_draws_from_the_same_distribution_as_the_plain_loop() -> None:
    rows = coin()
    for name in ("balanced_accuracy", "neg_log_loss", "roc_auc"):
        metric = resolve_metric(name, "classification")
        quick = bootstrap_interval(metric, rows, resamples=4000)
        random = np.random.default_rng(11)
        plain = metric.resampled(rows, [random.integers(0, len(rows), len(rows)) for _ in range(600)])
        lower, upper = np.quantile(plain, [0.025, 0.975])
        assert (quick.lower, quick.upper) == pytest.approx((lower, upper), abs=(quick.upper - quick.lower) * 0.12)


def test_several_metrics_at_once_give_what_each_gives_alone() -> None:
    names = ["accuracy", "f1_macro", "roc_auc", "neg_log_loss", "average_precision"]
    metrics = [resolve_metric(name, "classification") for name in names]
    other = coin(seed=5, noise=0.4)
    together = paired_bootstraps(metrics, coin(), other, resamples=300)
    for metric in metrics:
        assert together[metric.name] == paired_bootstrap(metric, coin(), other, resamples=300)
        assert together[metric.name].lower <= together[metric.name].score <= together[metric.name].upper


def test_a_formula_that_does_not_give_the_scorers_score_is_not_used() -> None:
    metric = resolve_metric("neg_log_loss", "classification")
    assert metric.statistics(coin(), metric.score_rows(coin())) is not None
    assert metric.statistics(coin(), metric.score_rows(coin()) + 1e-6) is None
    assert resolve_metric("average_precision", "classification").statistics(coin(), 0.5) is None


def pair_of_models(seed: int, *, rows: int, gain: float, disagreement: float) -> tuple[Predictions, Predictions]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    differ = random.random(rows) < disagreement
    ours = np.where(differ, random.random(rows) < 0.5 + gain / (2 * disagreement), random.random(rows) < 0.8)
    theirs = np.where(differ, ~ours, ours)
    return Predictions(labels, np.where(ours, labels, 1 - labels)), Predictions(labels, np.where(theirs, labels, 1 - labels))


def test_equal_models_seldom_look_better_and_a_true_gain_mostly_does() -> None:
    metric = resolve_metric("accuracy", "classification")
    equal = sum(paired_bootstrap(metric, *pair_of_models(seed, rows=1000, gain=0.0, disagreement=0.15)).lower > 0 for seed in range(400))
    better = sum(paired_bootstrap(metric, *pair_of_models(seed, rows=5000, gain=0.02, disagreement=0.15)).lower > 0 for seed in range(400))
    assert equal <= 20
    assert better >= 360
