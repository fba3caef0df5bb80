"""The champion's predictions as one more column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from evergreen.data.artifacts import ModelDescription
from evergreen.drift.detection import detect
from evergreen.drift.report import drift_page
from evergreen.drift.settings import DriftSettings
from evergreen.models.fitted import FittedModel
from evergreen.results.drift import PREDICTION

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from evergreen.drift.detection import DriftComparison

FEATURES = ["a", "b"]


def frame(seed: int, shift: float = 0.0) -> pd.DataFrame:
    import pandas as pd

    generator = np.random.default_rng(seed)
    rows = pd.DataFrame(generator.normal(size=(1500, 2)), columns=FEATURES)
    # Each input moves by less than its floor, and the sum that the champion looks at by more.
    return rows + shift


def champion(task: str, classes: list[int], features: list[str] | None = None) -> FittedModel:
    rows = frame(1)
    total = rows["a"] + rows["b"]
    estimator = Ridge().fit(rows, total) if task == "regression" else LogisticRegression().fit(rows, np.digitize(total, np.linspace(-1, 1, len(classes) - 1)))
    description = ModelDescription(
        task=task,
        target_column="y",
        timestamp_column="t",
        features=dict.fromkeys(features or FEATURES, "number"),
        classes=classes,
        fit_start="2020-01-01T00:00:00Z",
        fit_end="2021-01-01T00:00:00Z",
        rows=1500,
        estimator="sklearn.linear_model.Ridge",
        hyperparameters={},
        seed=7,
        data_fingerprint="",
        challenger_id="c0ffee",
    )
    return FittedModel(pipeline=estimator, description=description)


def compare(folder: Path, model: FittedModel, shift: float) -> DriftComparison:
    frame(2).to_parquet(folder / "reference")
    frame(3, shift).to_parquet(folder / "current")
    return detect(folder / "reference", folder / "current", settings=DriftSettings(detectors="profile"), model=model)


@pytest.mark.parametrize(("task", "classes"), [("regression", []), ("classification", [0, 1]), ("classification", [0, 1, 2])])
def test_predictions_that_move_are_compared_beside_the_features(tmp_path: Path, task: str, classes: list[int]) -> None:
    model = champion(task, classes)
    quiet = compare(tmp_path, model, 0.0).result
    assert quiet.verdict == "no drift"
    assert quiet.prediction is not None
    assert not quiet.prediction.drift
    moved = compare(tmp_path, model, 0.18)
    assert moved.result.prediction is not None
    assert moved.result.prediction.drift
    assert moved.result.prediction.measured.name == PREDICTION
    assert PREDICTION not in [feature.measured.name for feature in moved.result.features]
    assert f"{len(moved.result.drifted)} of 2 features changed" in moved.result.sentence
    assert "The champion's predictions drift as well" in moved.result.sentence
    page = drift_page(moved.result, DriftSettings(), moved)
    assert "Predictions of the champion" in page
    assert PREDICTION in moved.reference.columns


def test_a_champion_that_needs_other_columns_is_said_and_left_out(tmp_path: Path) -> None:
    result = compare(tmp_path, champion("regression", [], ["a", "elsewhere"]), 0.0).result
    assert result.verdict == "no drift"
    assert "needs the column elsewhere" in result.left_out[PREDICTION]
