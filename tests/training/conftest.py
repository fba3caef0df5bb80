from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen import train_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd


@pytest.fixture(autouse=True)
def no_run_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    # One database for the folder's tests: making its tables takes two seconds. Tests keep apart by model_name.
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def run_training(tmp_path: Path, tracking_uri: str) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Call train_model on a frame; returns its answer and its artifacts by name."""

    def run(frame: pd.DataFrame, *, name: str = "m", metadata: dict[str, Any] | None = None, **settings: Any) -> tuple[str, dict[str, Any]]:
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        artifacts: dict[str, Any] = {
            "training_data": dsl.Dataset(name="d", uri=str(tmp_path / f"{name}.parquet"), metadata=metadata or {}),
            "model": dsl.Model(name="model", uri=str(tmp_path / f"{name}-model"), metadata={}),
            "holdout_data": dsl.Dataset(name="h", uri=str(tmp_path / f"{name}-holdout"), metadata={}),
            "metrics": dsl.Metrics(name="metrics", uri=str(tmp_path / f"{name}-metrics"), metadata={}),
        }
        given = {"target_column": "rain", "timestamp_column": "time", "model_name": tmp_path.name, "tracking_uri": tracking_uri, **settings}
        return train_model.python_func(**artifacts, **given), artifacts

    return run


@pytest.fixture
def trainers() -> Iterator[str]:
    """The name under which the tests' trainers can be imported."""
    name = "trainers_of_the_tests"
    found = importlib.util.spec_from_file_location(name, Path(__file__).with_name("trainers.py"))
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    yield name
    del sys.modules[name]
