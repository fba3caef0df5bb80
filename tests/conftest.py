"""What is made once for all tests of a worker: generated events, an empty registry to copy, and servers."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from support.models import ModelShelf, fitted_model
from support.servers import google_storage, simple_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from support.registry_fixtures import Material

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    # MLflow would report to its makers what tests do, and wait where there is no way to them.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Wait one second, instead of twenty, for a server that is away: many tests ask one that nobody started. Those of waits set a time of their own.
    "EVERGREEN_RETRY_SECONDS": "1",
}
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Each worker has one of the processors: threads of several workers that wait for each other in turns cost more than they win."""


def pytest_configure(config: pytest.Config) -> None:
    """Set what processes that tests start have to find, too, before numeric libraries are loaded."""
    os.environ.update(ENVIRONMENT)
    if hasattr(config, "workerinput"):
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: another worker has all the others meanwhile, and none is left over at the end."""
    items.sort(key=lambda item: item.get_closest_marker("begins_first") is None)


@sa.event.listens_for(sa.engine.Engine, "connect")
def without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    """Let SQLite leave it to the system when it writes: no test needs its database after a power cut, and each of thousands of commits waits for the disk."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session", autouse=True)
def _shallow_stacks() -> None:
    """Let KFP look at two frames only, where it wants to know who called it.

    ``inspect.stack`` describes every frame, and for each looks through all modules that are loaded. Below pytest, with thousands of modules, that
    makes defining a pipeline take fifteen seconds instead of a third of one.
    """
    from kfp.dsl import pipeline_task

    def stack() -> list[tuple[Any, str, int, str]]:
        here = sys._getframe(1)
        return [(frame, frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) for frame in (here, here.f_back) if frame is not None]

    pipeline_task.inspect = SimpleNamespace(stack=stack)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def make_events() -> Callable[..., pd.DataFrame]:
    """Make days of events whose label depends on two of four features; ``shift`` moves the inputs, ``flip`` the relation."""
    import numpy as np
    import pandas as pd

    def make(*, start: str = "2020-01-01", days: int = 400, per_day: int = 4, seed: int = 0, shift: float = 0.0, flip: bool = False) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        rows = days * per_day
        temperature = random.normal(shift, 1.0, rows)
        pressure = random.normal(0.0, 1.0, rows)
        signal = temperature + 0.5 * pressure + random.normal(0.0, 0.4, rows)
        return pd.DataFrame(
            {
                "time": pd.date_range(start, periods=days, freq="D", tz="UTC").repeat(per_day),
                "temperature": temperature,
                "pressure": pressure,
                "humidity": random.normal(0.0, 1.0, rows),
                "city": random.choice(["Berlin", "Lisbon", "Oslo"], rows),
                "rain": ((signal > 0) != flip).astype(int),
            }
        )

    return make


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which a test copies: making them takes two seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="session")
def material(make_events: Callable[..., pd.DataFrame]) -> Material:
    """Rows and two fitted pipelines, for the models of `support.registry_fixtures`."""
    from support.registry_fixtures import make_material

    return make_material(make_events)


@pytest.fixture(scope="session")
def model_shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelShelf:
    """Models that several tests use are fitted and saved once."""
    return ModelShelf(tmp_path_factory.mktemp("models"))


@pytest.fixture
def make_model(model_shelf: ModelShelf, tmp_path: Path) -> Callable[..., Any]:
    """Put a model that was fitted on given rows into the test's folder; returns its artifact."""
    return partial(fitted_model, model_shelf, tmp_path)


@pytest.fixture(scope="session")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator of Google Cloud Storage; a test makes a bucket of its own."""
    with google_storage(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A server of S3 and Kinesis; a test makes a bucket or a stream of its own."""
    with simple_storage() as url:
        yield url


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for servers that are away as a step on a cluster does, but no longer than a minute, and with shorter pauses at first."""
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "60")
    monkeypatch.setattr("evergreen.storage.retries.service.HALF_OF_FIRST_PAUSE", 0.05)
