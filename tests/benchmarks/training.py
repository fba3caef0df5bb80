"""What training costs beside the fit itself, on 200,000 rows with 30 columns.

Run it with ``python tests/benchmarks/training.py``; some five minutes, or one with ``--only auto``. The whole step, from the Parquet file to the model
that is saved and logged to MLflow, is compared with scikit-learn alone: the same pipeline fitted on the same rows, already in memory and prepared,
with as many threads as scikit-learn takes by itself; they sleep while they wait, as in the images. Both take turns, and medians are compared. What the
step adds to the fit inside it is shown as well, for on a busy machine two fits of the same rows differ by more than the bar. Imports and MLflow's database
come before the clock.
"""

from __future__ import annotations

# the threads' settings come before the first numeric library, as in the images and in `evergreen run`
from evergreen.models.threads import wait_passively

wait_passively()

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kfp import dsl

from evergreen.data.columns import prepare_features
from evergreen.training.challenger import train_challenger
from evergreen.training.preprocessing import build_pipeline
from evergreen.training.recipe import Recipe, build_estimator, estimator_path
from evergreen.training.request import TrainingRequest
from evergreen.training.training_rows import feature_kinds

ROWS, NUMBERS, TURNS, BAR = 200_000, 28, 5, 0.10
HOLDOUT_SHARE = 0.2


def make_rows() -> pd.DataFrame:
    """Make 28 numbers, two categories, an event time and a label that depends on some of them."""
    random = np.random.default_rng(0)
    numbers = {f"x{index}": random.normal(size=ROWS) for index in range(NUMBERS)}
    signal = numbers["x0"] + numbers["x1"] * numbers["x2"] + random.normal(size=ROWS)
    return pd.DataFrame(
        {
            "time": pd.date_range("2020-01-01", periods=ROWS, freq="min", tz="UTC"),
            **numbers,
            "city": random.choice(["Berlin", "Lisbon", "Oslo"], ROWS),
            "kind": random.choice([f"k{index}" for index in range(20)], ROWS),
            "label": (signal > 0).astype(int),
        }
    )


def fit_alone(frame: pd.DataFrame, path: str, hyperparameters: dict[str, Any]) -> float:
    """Return the seconds that scikit-learn's pipeline takes to fit what `train_model` fits."""
    rows = frame.head(int(ROWS * (1 - HOLDOUT_SHARE)))
    features = feature_kinds(rows, [name for name in frame.columns if name not in ("time", "label")])
    prepared, labels = prepare_features(rows, features), rows["label"].to_numpy()
    pipeline = build_pipeline(features, build_estimator(Recipe("classification", path, hyperparameters, 7)))
    started = time.perf_counter()
    pipeline.fit(prepared, labels)
    return time.perf_counter() - started


def train(folder: Path, source: Path, turn: str, path: str, hyperparameters: str) -> tuple[float, dict[str, float]]:
    """Return the seconds of the whole step, and of its phases."""
    data = dsl.Dataset(name="d", uri=str(source), metadata={"fingerprint": f"sha256:{turn}"})
    artifacts = {
        "model": dsl.Model(name="m", uri=str(folder / f"model-{turn}"), metadata={}),
        "holdout_data": dsl.Dataset(name="h", uri=str(folder / f"holdout-{turn}"), metadata={}),
    }
    started = time.perf_counter()
    request = TrainingRequest(data, "label", "time", estimator=path, hyperparameters=hyperparameters, holdout_share=HOLDOUT_SHARE)
    trained = train_challenger(request, **artifacts, model_name="benchmark", tracking_uri=f"sqlite:///{folder}/mlflow.db")
    return time.perf_counter() - started, trained.description.durations


def main() -> int:
    """Print what training adds for each estimator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="auto or random")
    only = parser.parse_args().only
    os.environ.pop("MLFLOW_RUN_ID", None)
    automatic = estimator_path("auto", "classification")
    forest = "sklearn.ensemble.RandomForestClassifier"
    settings = {"n_estimators": 20, "n_jobs": 2}
    cases = [("auto (it stops early)", automatic, "{}", {}), ("random forest, 20 trees", forest, json.dumps(settings), settings)]
    fine = True
    with tempfile.TemporaryDirectory() as name:
        folder, frame = Path(name), make_rows()
        frame.to_parquet(folder / "rows.parquet", index=False)
        frame.head(2000).to_parquet(folder / "few.parquet", index=False)
        train(folder, folder / "few.parquet", "warm-up", automatic, "{}")
        for title, path, text, given in [case for case in cases if case[0].startswith(only)]:
            alone, whole, fits = [], [], []
            for turn in range(TURNS):
                alone.append(fit_alone(frame, path, given))
                seconds, phases = train(folder, folder / "rows.parquet", f"{turn}-{len(given)}", path, text)
                whole.append(seconds)
                fits.append(phases["fit"])
            added = statistics.median(whole) / statistics.median(alone) - 1
            inside = statistics.median(seconds - fit for seconds, fit in zip(whole, fits, strict=True))
            times = f"training {statistics.median(whole):.2f} s, scikit-learn alone {statistics.median(alone):.2f} s: {added:+.1%} (bar {BAR:+.0%})"
            print(f"{title}: {times}; beside the fit in it {inside:.2f} s, {inside / statistics.median(fits):.1%} of that fit", flush=True)
            fine &= added <= BAR
    print("The bar holds." if fine else "The bar is missed.")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
