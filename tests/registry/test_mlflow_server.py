"""The way through HTTP: promote and load with a real MLflow server, and what a stopped one leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evergreen.errors import StateError
from evergreen.models import load_model
from evergreen.registry.champion import write_champion
from registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from registry_fixtures import World

pytestmark = pytest.mark.mlflow_server


class Server:
    """A running `mlflow server`, stopped with all its workers."""

    def __init__(self, folder: Path, database: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{database}"]
        words += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "mlflow", *words]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            time.sleep(0.1)
        pytest.fail(f"the MLflow server did not come up; exit code {self._process.poll()}")

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(timeout=10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    database = folder / "mlflow.db"
    database.write_bytes(empty_database.read_bytes())
    running = Server(folder, database)
    try:
        running.wait()
        yield running
    finally:
        running.stop()


def test_a_promotion_and_its_way_back_through_a_server_that_is_stopped_at_the_end(world: World, server: Server) -> None:
    remote = world.at(server.uri, model_name="remote")
    inputs = remote.challenger("a")
    result = remote.promote(remote.passed(inputs))
    assert (result.outcome, result.version) == ("promoted", "1")
    assert remote.state() == (["1"], "1", ["promotion"])
    outputs = remote.outputs()
    champion = write_champion(tracking_uri=server.uri, ledger_uri=remote.ledger_uri, model_name="remote", **outputs)
    assert (champion.version, champion.fit_end, champion.alias_repaired) == ("1", "2020-02-20T00:00:00Z", False)
    rows = world.material.rows
    np.testing.assert_array_equal(load_model(outputs["model"].path).predict(rows), load_model(inputs["model"].path).predict(rows))

    second = remote.passed(remote.challenger("b", weights=1))
    server.stop()
    before = ledger_bytes(remote)
    started = time.monotonic()
    with pytest.raises(StateError, match=rf"state_tracking_uri '{server.uri}': the MLflow server cannot be reached"):
        remote.promote(second, "1", run="run-2")
    with pytest.raises(StateError, match=rf"state_tracking_uri '{server.uri}': the MLflow server cannot be reached"):
        write_champion(tracking_uri=server.uri, ledger_uri=remote.ledger_uri, model_name="remote", **remote.outputs("again"))
    assert time.monotonic() - started < 12
    assert ledger_bytes(remote) == before
