"""A real MLflow server, on SQLite or PostgreSQL, that can be stopped and started again at the same address."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgresql_server import postgresql
from support.servers import free_port


class RestartableServer:
    """`mlflow server` at one address, with its database and artifacts in a folder."""

    def __init__(self, folder: Path, backend: str) -> None:
        self._port = free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._backend = backend
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1", "--backend-store-uri", self._backend]
        words += ["--serve-artifacts", "--artifacts-destination", str(self._folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "mlflow", *words]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self._folder, start_new_session=True)

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            time.sleep(0.05)
        raise TimeoutError(f"the MLflow server did not come up; see {self._folder / 'log'}")

    def kill(self) -> None:
        """End the server and its workers at once, as a lost machine does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)
            self._process = None


@contextlib.contextmanager
def running(folder: Path, backend: str) -> Iterator[RestartableServer]:
    """Start a server; it is killed at the end."""
    server = RestartableServer(folder, backend)
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(tmp_path: Path, empty_database: Path) -> Iterator[RestartableServer]:
    """A server with an empty database on SQLite."""
    (tmp_path / "server.db").write_bytes(empty_database.read_bytes())
    with running(tmp_path, f"sqlite:///{tmp_path}/server.db") as started:
        yield started


@pytest.fixture
def postgresql_server(tmp_path: Path) -> Iterator[RestartableServer]:
    """A server with an empty database on PostgreSQL."""
    with postgresql(tmp_path / "postgresql") as url, running(tmp_path, url) as started:
        yield started
