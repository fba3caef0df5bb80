"""The gate's error rates on generated pairs of models, and the cost of the bootstrap beside the plain loop.

Run it with ``python tests/benchmarks/evaluation.py``; about two minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from scipy.stats import binomtest

from evergreen.evaluation.constant_baseline import naive_predictions
from evergreen.evaluation.gate import Gate, rule_against_champion
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.scoring import paired_bootstrap, resolve_metric

PAIRS, FALSE_BAR, POWER_BAR = 400, 0.05, 0.90
ROWS, DISAGREEMENT, GAIN = 5_000, 0.15, 0.02
SECONDS_BAR, MEGABYTES_BAR = 5.0, 500.0

COST = """
import json, resource, sys, time
import numpy as np
from sklearn.metrics import get_scorer
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.scoring import paired_bootstraps, resolve_metric
names, loops = json.loads(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(0)
labels = random.integers(0, 2, 100_000)
def model():
    logit = 1.5 * ((labels - 0.5) * 1.5 + random.normal(size=len(labels)))
    probability = 1 / (1 + np.exp(-logit))
    return Predictions(labels, (probability > 0.5).astype(int), np.column_stack([1 - probability, probability]), (0, 1))
models = [model(), model()]
metrics = [resolve_metric(name, "classification") for name in names]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
started = time.perf_counter()
paired_bootstraps(metrics, *models, resamples=2000)
fast = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
started = time.perf_counter()
for _ in range(loops):
    drawn = [random.integers(0, len(labels), len(labels))]
    for metric in metrics:
        metric.resampled(models[0], drawn)[0] - metric.resampled(models[1], drawn)[0]
plain = (time.perf_counter() - started) / loops * 2000
print(json.dumps({"fast": fast, "plain": plain, "peak": peak, "added": peak - before}))
"""


def pair(random: np.random.Generator, rows: int, *, gain: float, disagreement: float) -> tuple[Predictions, Predictions]:
    """Make two models that differ on a share of the rows and whose true accuracies differ by ``gain``; 80 % of the rest is right."""
    labels = random.integers(0, 2, rows)
    differ = random.random(rows) < disagreement
    ours_right = np.where(differ, random.random(rows) < 0.5 + gain / (2 * disagreement), random.random(rows) < 0.8)
    theirs_right = np.where(differ, ~ours_right, ours_right)
    return tuple(_model(labels, right, random) for right in (ours_right, theirs_right))


def _model(labels: np.ndarray, right: np.ndarray, random: np.random.Generator) -> Predictions:
    predicted = np.where(right, labels, 1 - labels)
    sure = np.clip(random.beta(6, 3, len(labels)), 0.501, 0.999)
    positive = np.where(predicted == 1, sure, 1 - sure)
    return Predictions(labels, predicted, np.column_stack([1 - positive, positive]), (0, 1))


def promotions(metric_name: str, rows: int, *, gain: float, disagreement: float) -> int:
    """Count how many of the pairs the gate promotes at its default settings."""
    metric, settings, count = resolve_metric(metric_name, "classification"), Gate(), 0
    for seed in range(PAIRS):
        ours, theirs = pair(np.random.default_rng(seed), rows, gain=gain, disagreement=disagreement)
        difference = paired_bootstrap(metric, ours, theirs, confidence=settings.confidence, resamples=settings.resamples, seed=seed)
        naive = metric.score_rows(naive_predictions(ours, metric_name=metric.name))
        ruling = rule_against_champion(metric, difference, settings, challenger_score=metric.score_rows(ours), naive_score=naive, missed=[])
        count += ruling.verdict == "promote"
    return count


def show_errors() -> bool:
    """Print false promotions and power beside their bars; return whether all hold."""
    print(f"False promotions of equal models, {PAIRS} pairs each (bar: at most {FALSE_BAR:.0%}), with the exact 95 % interval of the rate")
    fine = True
    for metric, rows in (
        ("accuracy", 200),
        ("accuracy", 1000),
        ("accuracy", ROWS),
        ("balanced_accuracy", 1000),
        ("f1", 1000),
        ("neg_log_loss", 1000),
        ("roc_auc", 1000),
    ):
        count = promotions(metric, rows, gain=0.0, disagreement=DISAGREEMENT)
        interval = binomtest(count, PAIRS).proportion_ci()
        print(f"  {metric:<18} {rows:>5} rows  {count:>3} of {PAIRS} = {count / PAIRS:.2%}  ({interval.low:.2%} to {interval.high:.2%})")
        fine &= count / PAIRS <= FALSE_BAR
    print(f"Power for a true gain of {GAIN:.0%} on {ROWS:,} rows (bar: at least {POWER_BAR:.0%})")
    for disagreement in (0.05, 0.10, DISAGREEMENT):
        count = promotions("accuracy", ROWS, gain=GAIN, disagreement=disagreement)
        print(f"  models disagree on {disagreement:.0%}: {count} of {PAIRS} promoted = {count / PAIRS:.1%}")
        fine &= count / PAIRS >= POWER_BAR
    return fine


def show_cost() -> bool:
    """Print seconds and memory of 2,000 paired resamples of 100,000 rows beside the plain loop; return whether the bars hold."""
    print(f"2,000 paired resamples of 100,000 rows, four metrics, both models (bars: {SECONDS_BAR:.0f} s, {MEGABYTES_BAR:.0f} MB for the process)")
    fine = True
    for names in (["accuracy", "balanced_accuracy", "f1", "neg_log_loss"], ["accuracy", "f1_macro", "neg_log_loss", "roc_auc"]):
        done = subprocess.run([sys.executable, "-c", COST, json.dumps(names), "5"], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        print(
            f"  {', '.join(names)}: {found['fast']:.2f} s, peak {found['peak']:.0f} MB ({found['added']:.0f} MB for the resamples); "
            f"the plain loop, from 5 resamples: {found['plain']:.0f} s, {found['plain'] / found['fast']:.0f} times as long"
        )
        fine &= found["fast"] <= SECONDS_BAR and found["peak"] <= MEGABYTES_BAR
    return fine


if __name__ == "__main__":
    results = [show_errors(), show_cost()]
    print("All bars hold." if all(results) else "A bar is missed.")
    sys.exit(0 if all(results) else 1)
