"""Estimates without labels: right when only the inputs moved, and refused where they would not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evergreen.evaluation.calibration import measure_calibration
from evergreen.metrics.predictions import Interval, Predictions, ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.performance.estimation import EstimateRequest, estimate_score, make_estimate
from evergreen.performance.reliability import ReliabilityCurve, why_unavailable

if TYPE_CHECKING:
    from evergreen.results.performance import Estimate

ASKED: dict[str, Any] = {"task": "classification", "metric": "accuracy", "classes": 2, "probabilities": True, "maximum_error": 0.05}


def said(random: np.random.Generator, rows: int, *, shift: float = 0.0, sharpen: float = 1.0) -> Predictions:
    """Rows whose label follows a logistic model of one input; the model knows it, and says so more or less loudly."""
    signal = 1.5 * random.normal(shift, 1.0, rows)
    labels = (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(int)
    positive = 1 / (1 + np.exp(-sharpen * signal))
    return Predictions(labels, (positive > 0.5).astype(int), np.stack([1 - positive, positive], axis=1), [0, 1])


def test_a_model_that_is_a_little_too_modest_is_set_right() -> None:
    random = np.random.default_rng(8)
    measure, held = resolve_metric("accuracy", "classification"), 0
    for seed in range(20):
        curve = curve_of(said(random, 1000, sharpen=0.75))
        assert why_unavailable(**{**ASKED, "maximum_error": 0.1}, curve=curve) == ""
        now = said(random, 1000, sharpen=0.75, shift=1.0)
        estimate = estimate_score(measure, now, curve, seed=seed)
        held += estimate.lower <= measure.score_rows(now) <= estimate.upper
    assert held >= 18


def curve_of(predictions: Predictions) -> ReliabilityCurve:
    found = measure_calibration(predictions)
    assert found is not None
    curve = ReliabilityCurve.of(found)
    assert curve is not None
    return curve


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "f1", "neg_log_loss", "neg_brier_score"])
def test_the_interval_holds_the_true_score_when_the_inputs_move(metric: str) -> None:
    measure, held, runs = resolve_metric(metric, "classification"), 0, 100 if metric == "accuracy" else 20
    for seed in range(runs):
        random = np.random.default_rng(seed)
        curve = curve_of(said(random, 400))
        now = said(random, 500, shift=random.choice([-2.0, -1.0, 1.0, 2.0]))
        unlabelled = Predictions(np.full(len(now), -1), now.predicted, now.probabilities, now.classes)
        estimate = estimate_score(measure, unlabelled, curve, seed=seed)
        held += estimate.lower <= measure.score_rows(now) <= estimate.upper
        assert estimate.upper - estimate.lower < 0.3
    assert held >= 0.9 * runs


def test_the_estimate_follows_the_inputs() -> None:
    random = np.random.default_rng(1)
    curve = curve_of(said(random, 2000))
    measure = resolve_metric("accuracy", "classification")
    scores = []
    for shift in (0.0, 2.0):
        now = said(random, 20_000, shift=shift)
        estimate = estimate_score(measure, now, curve, seed=1)
        assert estimate.score == pytest.approx(measure.score_rows(now), abs=0.02)
        scores.append(estimate.score)
    assert scores[1] - scores[0] > 0.1


def test_three_classes_by_the_confidence_of_the_predicted_one() -> None:
    random = np.random.default_rng(5)

    def three(rows: int) -> Predictions:
        probabilities = random.dirichlet([1.0, 1.0, 1.0], rows)
        labels = np.array([random.choice(["a", "b", "c"], p=row) for row in probabilities], dtype=object)
        predicted = np.array(["a", "b", "c"], dtype=object)[probabilities.argmax(axis=1)]
        return Predictions(labels, predicted, probabilities, ["a", "b", "c"])

    now = three(1000)
    measure = resolve_metric("accuracy", "classification")
    estimate = estimate_score(measure, now, curve_of(three(500)), seed=2)
    assert estimate.lower <= measure.score_rows(now) <= estimate.upper
    assert why_unavailable(**{**ASKED, "classes": 3}, curve=curve_of(three(500))) == ""
    assert "with 3 classes, only accuracy can be estimated, not f1_macro" in why_unavailable(**{**ASKED, "classes": 3, "metric": "f1_macro"}, curve=None)


def test_a_model_that_is_too_sure_gets_no_estimate() -> None:
    random = np.random.default_rng(3)
    assert why_unavailable(**ASKED, curve=curve_of(said(random, 400))) == ""
    loud = curve_of(said(random, 2000, sharpen=4.0))
    assert "the model is not calibrated: its expected calibration error at promotion was 0.1" in why_unavailable(**ASKED, curve=loud)
    assert why_unavailable(**{**ASKED, "maximum_error": 0.5}, curve=loud) == ""


def test_chance_does_not_make_a_model_uncalibrated() -> None:
    refused = [why_unavailable(**{**ASKED, "maximum_error": 0.01}, curve=curve_of(said(np.random.default_rng(seed), 200))) for seed in range(40)]
    assert sum(map(bool, refused)) <= 6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"task": "regression"}, "a regression model provides no probabilities"),
        ({"probabilities": False}, "the model provides no probabilities"),
        ({"metric": "business:value"}, "business:value is a custom function"),
        ({}, "the champion's baseline contains no calibration"),
    ],
)
def test_why_there_is_none(change: dict[str, Any], reason: str) -> None:
    assert reason in why_unavailable(**{**ASKED, **change}, curve=None)


def test_without_probabilities_nothing_is_estimated() -> None:
    now = said(np.random.default_rng(1), 50)
    with pytest.raises(ScoringError, match="Metric 'accuracy' cannot be estimated without probabilities"):
        estimate_score(resolve_metric("accuracy", "classification"), Predictions(now.labels, now.predicted), curve_of(now), seed=1)


def test_too_few_rows_of_calibration() -> None:
    assert "measured on only 50 rows; 100 are required" in why_unavailable(**ASKED, curve=curve_of(said(np.random.default_rng(1), 50)))


def test_an_estimate_says_that_it_is_one_and_whether_the_score_fell() -> None:
    random = np.random.default_rng(2)
    curve, now = curve_of(said(random, 1000)), said(random, 1000)
    measure = resolve_metric("accuracy", "classification")

    def estimate(baseline: Interval, margin: float = 0.0) -> Estimate:
        return make_estimate(now, curve, EstimateRequest(measure, "rows without a label", baseline, margin=margin))

    held = estimate(Interval(0.75, 0.72, 0.78))
    assert held.sentence.startswith("Estimated from the champion's confidences, without labels: accuracy is 0.7")
    assert (held.verdict, held.rows, held.available) == ("holds", 1000, True)
    fell = estimate(Interval(0.95, 0.93, 0.97))
    assert (fell.verdict, fell.drop_lower is not None and fell.drop_lower > 0) == ("degraded", True)
    assert estimate(Interval(0.95, 0.93, 0.97), margin=0.5).verdict == "holds"
    sure = Predictions(np.ones(50), np.ones(50, dtype=int), np.tile([0.0, 1.0], (50, 1)), [0, 1])
    undefined = make_estimate(sure, curve, EstimateRequest(resolve_metric("roc_auc", "classification"), "rows", Interval(0.9, 0.8, 1.0)))
    assert (undefined.available, "undefined on most draws" in undefined.sentence) == (False, True)
