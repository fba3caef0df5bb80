"""LightGBM and XGBoost: estimators of other packages, through training, saving and loading."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.errors import MissingExtraError
from evergreen.models.files import load_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ESTIMATORS = ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_booster_predicts_the_same_in_a_process_of_its_own(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], estimator: str, tmp_path: Path
) -> None:
    frame = make_events(days=100)
    _, artifacts = run_training(frame, estimator=estimator, hyperparameters='{"n_estimators": 20.0}')
    fitted = load_model(artifacts["model"].path)
    holdout = pd.read_parquet(artifacts["holdout_data"].path)
    said = fitted.predict_probability(holdout)
    assert said is not None
    assert np.mean(fitted.predict(holdout) == holdout["rain"]) > 0.8
    assert fitted.description.trusted_types == [], "the reviewed list knows its types"
    rows = tmp_path / "rows.parquet"
    holdout.to_parquet(rows)
    code = (
        "import sys, numpy, pandas; from evergreen.models.files import load_model; "
        "numpy.save(sys.argv[3], load_model(sys.argv[1]).predict_probability(pandas.read_parquet(sys.argv[2])))"
    )
    subprocess.run([sys.executable, "-c", code, artifacts["model"].path, str(rows), str(tmp_path / "said.npy")], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), said, rtol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_booster_that_is_not_installed_names_its_extra(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], estimator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = estimator.partition(".")[0]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"training_estimator '{estimator}' needs an optional dependency.*kfp-evergreen\[{package}\]"):
        run_training(make_events(days=40), estimator=estimator)
    assert not (tmp_path / "m-model").exists()
