"""How often the estimate without labels holds the true score, and what loud sources of feedback can do.

Models are fitted on generated rows; two of four inputs of the watched window move, by so many of their standard deviations and half of that, and the
relation stays. detect_drift calls a move by 0.5 moderate and one by 1 severe, from where on the decision does not trust the estimate. Run it with
``python tests/benchmarks/performance.py``; about four minutes.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from evergreen.evaluation.calibration import measure_calibration
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.scoring import resolve_metric
from evergreen.performance.estimation import estimate_score
from evergreen.performance.reliability import ReliabilityCurve, why_unavailable
from evergreen.policy.evidence import Evidence
from evergreen.policy.feedback import feedback
from evergreen.policy.feedback_settings import FeedbackSettings
from evergreen.results.drift import DriftResult
from evergreen.results.feedback import Feedback
from evergreen.results.performance import PerformanceResult

RUNS = 100
SHIFTS = (0.0, 0.5, 1.0, 2.0)
METRICS = ("accuracy", "roc_auc")
MODELS: dict[str, Any] = {
    "logistic regression": LogisticRegression,
    "gradient boosting": lambda: HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, learning_rate=0.05),
}


def rows(random: np.random.Generator, count: int, shift: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    features = random.normal(0.0, 1.0, (count, 4)) + np.array([shift, -shift / 2, 0.0, 0.0])
    signal = 1.5 * features[:, 0] - features[:, 1] + 0.5 * features[:, 2]
    return features, (random.random(count) < 1 / (1 + np.exp(-signal))).astype(int)


def said(model: Any, features: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Predictions:
    return Predictions(labels, model.predict(features), model.predict_proba(features), [0, 1])


def coverage(make: Any, shift: float) -> dict[str, str]:
    held, refused, widths = dict.fromkeys(METRICS, 0), 0, []
    for seed in range(RUNS):
        random = np.random.default_rng(seed)
        model = make().fit(*rows(random, 3000, 0.0))
        held_out = measure_calibration(said(model, *rows(random, 400, 0.0)))
        curve = ReliabilityCurve.of(held_out)
        if curve is None or why_unavailable(task="classification", metric="accuracy", classes=2, probabilities=True, curve=curve, maximum_error=0.05):
            refused += 1
            continue
        now = said(model, *rows(random, 500, shift))
        for name in METRICS:
            metric = resolve_metric(name, "classification")
            found = estimate_score(metric, now, curve, seed=seed)
            held[name] += found.lower <= metric.score_rows(now) <= found.upper
            if name == "accuracy":
                widths.append(found.upper - found.lower)
    tried = RUNS - refused
    return {name: f"{count / tried:.1%}" for name, count in held.items()} | {"refused": str(refused), "width": f"{np.mean(widths):.3f}"}


def fired(hostile: int, others: int, bad: float) -> str:
    entries = [{"source": "hostile", "rows": hostile, "negative": hostile}]
    entries += [{"source": f"user{number}", "rows": 5, "negative": 5 * bad} for number in range(others)]
    heard = {"present": True, "rows": hostile + 5 * others, "sources": entries}
    found = feedback(
        Evidence(DriftResult("no drift"), PerformanceResult("cannot tell"), None, "auto", "latest", feedback=Feedback.from_json(heard, source="benchmark")),
        FeedbackSettings(),
    )
    return f"{found.verdict} ({'no share' if found.value is None else f'{found.value:.0%} bad'})"


if __name__ == "__main__":
    started = time.perf_counter()
    print(f"Share of {RUNS} runs in which the 95 % interval of the estimate held the true score (bar: 90 % for accuracy); 500 rows, 400 of calibration")
    for model_name, maker in MODELS.items():
        for moved in SHIFTS:
            print(f"{model_name}, inputs moved by {moved:g}: {coverage(maker, moved)}")
    print(f"10,000 complaints of one source alone: {fired(10_000, 0, 0.0)}")
    print(f"10,000 complaints of one source, 40 users of whom 20 % complain: {fired(10_000, 40, 0.2)}")
    print(f"100 users of whom 80 % complain: {fired(0, 100, 0.8)}")
    print(f"{time.perf_counter() - started:.0f} s")
