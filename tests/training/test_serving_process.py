"""The same row gives the same answer before the model is saved, after it is loaded, and from a server that MLflow started from the directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.data.columns import prepare_features
from evergreen.models.files import load_model
from evergreen.models.recorded_predictions import as_requests, read_record
from support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_TO_START = 90


@contextmanager
def served(path: str) -> Iterator[str]:
    """Serve a model directory as ``mlflow models serve`` does; yields the address that takes requests."""
    port = free_port()
    # Without a shell between: the process that is started is the one that is stopped.
    program = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "mlflow.pyfunc.scoring_server.app:app"]
    process = subprocess.Popen(program, env={**os.environ, "__pyfunc_model_path__": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < until and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
                    break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        else:
            pytest.fail("the server did not start")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        process.kill()
        process.wait()


def answers(address: str, rows: list[dict[str, Any]]) -> list[Any]:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        found: list[Any] = json.loads(response.read())["predictions"]
    return found


def test_a_row_gets_the_same_answer_before_saving_after_loading_and_from_a_server(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]
) -> None:
    frame = make_events(days=100)
    frame["city"] = frame["city"].where(frame.index % 9 != 0)
    frame["humidity"] = frame["humidity"].where(frame.index % 7 != 0)
    frame["weekend"] = frame["time"].dt.dayofweek >= 5
    frame["seen_on"] = frame["time"].dt.date
    frame["rain"] = frame["temperature"] * 2 + frame["weekend"]
    _, artifacts = run_training(frame)
    path = artifacts["model"].path
    model, record = load_model(path), read_record(path)
    # The record was made from the fitted pipeline, before it was saved.
    np.testing.assert_array_equal(model.predict(pd.DataFrame(record.rows)), record.predictions)
    rows = pd.concat([frame.tail(30), frame.tail(3).assign(city=["Atlantis", None, "Oslo"], humidity=[1e9, None, 0.0])], ignore_index=True)
    expected = model.predict(rows)
    one_by_one = [model.predict(pd.DataFrame([row]))[0] for row in as_requests(rows)]
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-12)
    # MLflow's signature takes what the pipeline takes: truth values and days as numbers.
    requests = as_requests(prepare_features(rows, model.description.features))
    with served(path) as address:
        np.testing.assert_allclose(answers(address, requests), expected, rtol=1e-12)
        np.testing.assert_allclose([answers(address, [row])[0] for row in requests[-5:]], expected[-5:], rtol=1e-12)
