"""What is said about the cause of a loss where the cause is known: the inputs, their relation to the label, or both.

    python tests/benchmarks/explanation.py [SEEDS]

Prints how often each is said in windows of 500 and 2,000 rows that lost score, and how far the explained part is from the truth. The reference has 8,000
rows; feature ``a`` decides where labels are nearly random, so that its shift costs score. In every window a feature of small importance follows a season.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from evergreen.data.artifacts import ModelDescription
from evergreen.evaluation.holdout_rows import predictions_of
from evergreen.metrics.prediction_errors import summarise_errors
from evergreen.metrics.scoring import bootstrap_interval, resolve_metric
from evergreen.models.fitted import FittedModel
from evergreen.performance.explanation import with_explanation
from evergreen.performance.monitoring import WatchedColumns, monitor_rows
from evergreen.performance.settings import PerformanceSettings
from evergreen.results.baseline import Baseline
from evergreen.training.fit import fit_recipe, measure_importances
from evergreen.training.recipe import Recipe

FEATURES = {**dict.fromkeys("abcdef", "number"), "season": "number"}
CAUSES = {
    "relation": {"turn": 0.3, "shift": 0.0},
    "inputs": {"turn": 0.0, "shift": 1.0},
    "both": {"turn": 0.25, "shift": 0.9},
}


def rows(count: int, random: np.random.Generator, *, turn: float, shift: float, season: float) -> pd.DataFrame:
    """Return rows; ``turn`` is the share of the relation's strength that turns round, ``shift`` and ``season`` move two inputs."""
    frame = pd.DataFrame(random.normal(0, 1, (count, len(FEATURES))), columns=list(FEATURES))
    frame["a"] += shift
    frame["season"] += season
    signal = 1.2 * frame["a"] - 1.2 * frame["b"] + 0.8 * frame["c"] + 0.25 * frame["season"]
    signal = signal * np.where(frame["a"] > 1, 0.2, 1.5) * (1 - 2 * turn)
    frame["t"] = pd.date_range("2022-01-01", periods=count, freq="5min", tz="UTC")
    return frame.assign(y=(random.random(count) < 1 / (1 + np.exp(-signal))).astype(int))


def main(seeds: int) -> None:
    """Print the table."""
    said: dict[tuple[str, int], Counter[str]] = {(cause, count): Counter() for cause in CAUSES for count in (500, 2000)}
    apart: dict[tuple[str, int], list[float]] = {key: [] for key in said}
    seconds: list[float] = []
    metric = resolve_metric("roc_auc", "classification")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            random = np.random.default_rng(seed)
            known, held = (rows(count, random, turn=0, shift=0, season=0) for count in (8000, 4000))
            recipe = Recipe("classification", "sklearn.ensemble.HistGradientBoostingClassifier", {}, 7)
            columns = {"target_column": "y", "features": FEATURES, "classes": [0, 1]}
            fit = fit_recipe(recipe, known, **columns)
            importances = measure_importances(fit, held, **columns)
            times = "2021-01-01T00:00:00Z", "2022-01-01T00:00:00Z"
            description = ModelDescription("classification", "y", "t", FEATURES, [0, 1], *times, 8000, recipe.estimator, {}, 7, "", "", importances)
            model = FittedModel(fit.pipeline, description)
            predictions = predictions_of(model, held, target_column="y")
            interval = bootstrap_interval(metric, predictions)
            baseline = Baseline(metric=metric.name, score=interval.score, lower=interval.lower, upper=interval.upper, errors=summarise_errors(predictions))
            known.to_parquet(Path(folder) / "reference")
            reference = SimpleNamespace(path=str(Path(folder) / "reference"), metadata={"present": True})
            for (cause, count), answers in said.items():
                window = rows(count, random, season=0.8, **CAUSES[cause])
                measured = monitor_rows(model, baseline, window, window_end=None, columns=WatchedColumns("y", "t"), settings=PerformanceSettings(), seed=7)
                started = time.perf_counter()
                explained = with_explanation(measured, window, description, reference, seed=7).explained
                if explained is None:
                    continue
                seconds.append(time.perf_counter() - started)
                answers[explained.verdict] += 1
                if explained.measure == "score" and explained.explained is not None:
                    same = rows(40_000, random, turn=0, shift=CAUSES[cause]["shift"], season=0.8)
                    apart[cause, count].append(explained.explained - (interval.score - metric.score_rows(predictions_of(model, same, target_column="y"))))
    print(f"{'cause':10}{'rows':>6}  {'relation':>9}{'inputs':>9}{'both':>9}{'cannot tell':>13}  explained minus true (mean, sd)")
    for (cause, count), answers in said.items():
        errors = np.array(apart[cause, count] or [np.nan])
        shown = "".join(f"{answers[name]:>{width}}" for name, width in (("relation", 9), ("inputs", 9), ("both", 9), ("cannot tell", 13)))
        print(f"{cause:10}{count:>6}  {shown}  {errors.mean():+.3f}, {errors.std():.3f}")
    print(f"Seconds for one explanation: median {np.median(seconds):.1f}, most {max(seconds):.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
