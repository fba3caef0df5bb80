"""Metrics of the user's own, by import path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evergreen.metrics.predictions import Predictions, ScoringError
from evergreen.metrics.scoring import bootstrap_interval, paired_bootstrap, resolve_metric

MODULE = """
import math

import numpy as np


def profit(labels, predicted, *, probabilities, classes):
    return float(np.where(predicted == 1, np.where(labels == 1, 10.0, -4.0), 0.0).mean())


def confident(labels, predicted, *, probabilities, classes):
    return probabilities[:, classes.index(1)].mean()


def nothing_given(labels, predicted, *, probabilities, classes):
    return 1.0 if probabilities is None and classes == [] else 0.0


def words(labels, predicted, *, probabilities, classes):
    return "good"


def several(labels, predicted, *, probabilities, classes):
    return np.array([0.1, 0.2])


def unknown(labels, predicted, *, probabilities, classes):
    return math.nan


def broken(labels, predicted, *, probabilities, classes):
    return 1 / 0


def needs_both(labels, predicted, *, probabilities, classes):
    return float(np.unique(labels).size == 2) or math.nan


def one_argument(labels):
    return 1.0


RATE = 3
"""


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module on the path; each test has its own, because Python keeps what it has imported."""
    name = f"business_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def said() -> Predictions:
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 200)
    predicted = np.where(random.random(200) < 0.8, labels, 1 - labels)
    probabilities = np.stack([1 - 0.8 * predicted, 0.8 * predicted], axis=1)
    return Predictions(labels, predicted, probabilities, [0, 1])


def test_a_function_scores_as_a_scorer_does(named: str, said: Predictions) -> None:
    metric = resolve_metric(f"{named}:profit", "classification")
    expected = np.where(said.predicted == 1, np.where(said.labels == 1, 10.0, -4.0), 0.0).mean()
    interval = bootstrap_interval(metric, said, resamples=400)
    assert interval.score == pytest.approx(expected)
    assert interval.lower < expected < interval.upper
    worse = Predictions(said.labels, 1 - said.predicted, None, [0, 1])
    assert paired_bootstrap(metric, said, worse, resamples=400).lower > 0


def test_it_gets_probabilities_in_the_order_of_the_classes(named: str, said: Predictions) -> None:
    metric = resolve_metric(f"{named}:confident", "classification")
    assert said.probabilities is not None
    assert metric.score_rows(said) == pytest.approx(said.probabilities[:, 1].mean())
    numbers = np.array([1.0, 2.0])
    assert resolve_metric(f"{named}:nothing_given", "regression").score_rows(Predictions(numbers, numbers)) == 1.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("words", r"words': returned str 'good'; expected a single number, higher is better"),
        ("several", r"several': returned ndarray array\(\[0.1, 0.2\]\); expected a single number"),
        ("unknown", r"unknown': not defined on these 200 rows, whose labels are: 0, 1"),
        ("broken", r"broken': not defined .*: the function failed: ZeroDivisionError: division by zero"),
        ("one_argument", r"one_argument': not defined .*: the function failed: TypeError: one_argument\(\) got an unexpected keyword"),
    ],
)
def test_what_it_must_not_return_is_named(named: str, said: Predictions, function: str, message: str) -> None:
    metric = resolve_metric(f"{named}:{function}", "classification")
    with pytest.raises(ScoringError, match=message):
        metric.score_rows(said)
    with pytest.raises(ScoringError, match=message):
        bootstrap_interval(metric, said, resamples=200)


def test_resamples_on_which_it_is_not_defined_are_left_out(named: str) -> None:
    labels = np.array([0] * 30 + [1] * 3)
    interval = bootstrap_interval(resolve_metric(f"{named}:needs_both", "classification"), Predictions(labels, labels, None, [0, 1]), resamples=200)
    assert (interval.score, interval.lower, interval.upper) == (1.0, 1.0, 1.0)


def test_what_cannot_be_found_is_named(named: str) -> None:
    with pytest.raises(ScoringError, match=r"metric 'no_such_module:f': module 'no_such_module' cannot be imported: .* install the package in the image"):
        resolve_metric("no_such_module:f", "classification")
    with pytest.raises(ScoringError, match=rf"module '{named}' has no function 'loss'. Write module:function"):
        resolve_metric(f"{named}:loss", "classification")
    with pytest.raises(ScoringError, match=rf"module '{named}' defines an object of type int, not a function, as 'RATE'"):
        resolve_metric(f"{named}:RATE", "regression")
