"""A PyTorch module and a Keras model through training, saving, loading, the gate and another process."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen.evaluation.gate_settings import Serving
from evergreen.evaluation.servability import check_servability
from evergreen.models.files import load_model
from evergreen.models.trust import ModelError
from evergreen.training.challenger import refit_challenger, train_challenger
from evergreen.training.errors import TrainingError
from evergreen.training.request import TrainingRequest

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = "neural_networks"
BUILDER = f"{MODULE}:network"


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    # Another process imports it by its name, too.
    (tmp_path / f"{MODULE}.py").write_bytes(Path(__file__).with_name("networks.py").read_bytes())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("EVERGREEN_TRUSTED_TYPES", BUILDER)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    found = importlib.util.spec_from_file_location(MODULE, tmp_path / f"{MODULE}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, MODULE, module)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(frame: pd.DataFrame, trainer: str, **changes: Any) -> dict[str, Any]:
        frame.to_parquet(tmp_path / "rows.parquet", index=False)
        artifacts = {
            "training_data": dsl.Dataset(name="d", uri=str(tmp_path / "rows.parquet"), metadata={}),
            "model": dsl.Model(name="m", uri=str(tmp_path / "model"), metadata={}),
            "holdout_data": dsl.Dataset(name="h", uri=str(tmp_path / "holdout"), metadata={}),
        }
        asked = {"target_column": "rain", "timestamp_column": "time", "estimator": f"{MODULE}:{trainer}", **changes}
        request = TrainingRequest(artifacts["training_data"], **asked)
        place = {"model_name": "m", "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"}
        train_challenger(request, model=artifacts["model"], holdout_data=artifacts["holdout_data"], **place)
        return artifacts

    return run


def holdout_of(artifacts: dict[str, Any]) -> pd.DataFrame:
    return pd.read_parquet(artifacts["holdout_data"].path)


@pytest.mark.parametrize("trainer", ["with_torch", "with_keras"])
def test_a_network_is_saved_without_a_pickle_and_answers_the_same_elsewhere(
    train: Callable[..., dict[str, Any]], make_events: Callable[..., pd.DataFrame], tmp_path: Path, trainer: str
) -> None:
    artifacts = train(make_events(days=150), trainer)
    model, rows = load_model(artifacts["model"].path), holdout_of(artifacts)
    said: Any = model.predict_probability(rows)
    assert said.shape == (len(rows), 2)
    assert np.allclose(said.sum(axis=1), 1)
    assert np.mean(model.predict(rows) == rows["rain"]) > 0.8
    unseen = rows.head(3).assign(city="Atlantis", temperature=None)
    assert np.isfinite(np.asarray(model.predict_probability(unseen))).all()
    (served, *_) = check_servability(artifacts["model"].path, Serving())
    assert (served.verdict, served.sentence) == ("passed", "A fresh process loads the model and predicts 200 rows exactly as at training.")
    names = zipfile.ZipFile(Path(artifacts["model"].path) / "model.skops").namelist()
    assert not [name for name in names if "pkl" in name or "pickle" in name]
    requirements = (Path(artifacts["model"].path) / "requirements.txt").read_text()
    assert f"{trainer.removeprefix('with_')}==" in requirements
    refitted = dsl.Model(name="r", uri=str(tmp_path / "refitted"), metadata={})
    place = {"model_name": "m", "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"}
    refit_challenger(challenger=artifacts["model"], training_data=artifacts["training_data"], model=refitted, **place)
    assert np.mean(load_model(refitted.path).predict(rows) == rows["rain"]) > 0.8


@pytest.mark.parametrize("trainer", ["with_torch", "with_keras"])
def test_regression(train: Callable[..., dict[str, Any]], make_events: Callable[..., pd.DataFrame], trainer: str) -> None:
    frame = make_events(days=150).assign(rain=lambda rows: rows["temperature"] * 2 + rows["pressure"])
    artifacts = train(frame, trainer, hyperparameters=json.dumps({"epochs": 150 if trainer == "with_torch" else 40}))
    model, rows = load_model(artifacts["model"].path), holdout_of(artifacts)
    assert model.predict_probability(rows) is None
    assert np.corrcoef(model.predict(rows), rows["rain"])[0, 1] > 0.9


def test_more_than_two_classes(train: Callable[..., dict[str, Any]], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=150).assign(rain=lambda rows: np.digitize(rows["temperature"], [-0.5, 0.5]))
    artifacts = train(frame, "with_torch")
    model, rows = load_model(artifacts["model"].path), holdout_of(artifacts)
    assert np.mean(model.predict(rows) == rows["rain"]) > 0.8
    assert np.asarray(model.predict_probability(rows)).shape == (len(rows), 3)


def test_code_that_nobody_trusts_does_not_run(
    train: Callable[..., dict[str, Any]], make_events: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch, networks: Any
) -> None:
    artifacts = train(make_events(days=60), "with_torch", hyperparameters='{"epochs": 2}')
    monkeypatch.delenv("EVERGREEN_TRUSTED_TYPES")
    monkeypatch.setattr(networks, "network", lambda **_: pytest.fail("code that nobody trusts was run"))
    with pytest.raises(ModelError, match=rf"PyTorch model of {BUILDER}: contains untrusted types: {BUILDER}\. .*EVERGREEN_TRUSTED_TYPES={BUILDER}"):
        load_model(artifacts["model"].path)


def test_a_module_that_cannot_be_made_again_is_named(train: Callable[..., dict[str, Any]], make_events: Callable[..., pd.DataFrame], networks: Any) -> None:
    artifacts = train(make_events(days=60), "with_torch", hyperparameters='{"epochs": 2}')
    networks.network = lambda **_: networks.torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match=r"does not build a module that fits these weights: .*Install the package version that the model was trained with"):
        load_model(artifacts["model"].path).predict(holdout_of(artifacts))


def test_a_keras_layer_with_code_is_refused(train: Callable[..., dict[str, Any]], make_events: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"failed on .* rows: ModelError: Keras model: cannot be loaded in safe mode: .*Use only Keras' built-in layers"):
        train(make_events(days=60), "with_code_in_a_layer")
    assert not (tmp_path / "model").exists()
