from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from evergreen.errors import StateError
from evergreen.storage.tracking import open_client, sqlite_file, unusable_server
from support.servers import free_port


@pytest.fixture(autouse=True)
def on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_a_server_that_nobody_started_is_named_at_once() -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(StateError, match=rf"state_tracking_uri '{uri}': the MLflow server cannot be reached: .*Start it or correct the address"):
        open_client(uri)
    assert time.monotonic() - started < 6


@pytest.mark.parametrize("uri", ["http://127.0.0.1:99999", "http://", "https://no-such-host.invalid"])
def test_an_address_that_is_none_is_named(uri: str) -> None:
    with pytest.raises(StateError, match=rf"state_tracking_uri '{uri}': the MLflow server cannot be reached"):
        open_client(uri)


def test_a_database_in_a_folder_that_does_not_exist_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=rf"folder {tmp_path}/absent does not exist. Create it or correct the path"):
        open_client(f"sqlite:///{tmp_path}/absent/mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_nothing_and_a_pods_own_disk_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="state_tracking_uri is 'none': expected an MLflow server"):
        open_client("none")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(StateError, match="is not a server: on a cluster each pod"):
        open_client(f"sqlite:///{tmp_path}/mlflow.db")


def test_mlflow_is_told_to_try_once_unless_the_user_said_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Set first, so that the fixture takes away what open_client sets.
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "33")
    open_client(f"sqlite:///{tmp_path}/mlflow.db")
    assert (os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"], os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) == ("0", "33")


def test_the_file_of_a_database_is_found() -> None:
    assert sqlite_file("sqlite:////a/b.db?timeout=5") == Path("/a/b.db")
    assert sqlite_file("sqlite:///b.db") == Path.cwd() / "b.db"
    assert sqlite_file("http://host") is None


def test_a_refusal_keeps_the_servers_words() -> None:
    error = unusable_server("http://host", RuntimeError("quota used up"))
    assert str(error) == (
        "state_tracking_uri 'http://host': MLflow rejected the request: quota used up. Check the server and its artifact store, then run the step again."
    )
