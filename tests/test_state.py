from __future__ import annotations

import pytest

from evergreen.errors import StateError
from evergreen.secrets.addresses import without_password
from evergreen.storage.uris import check_ledger_uri, check_tracking_uri, is_nothing, runs_in_a_pod


@pytest.fixture(autouse=True)
def on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")


@pytest.mark.parametrize(("value", "nothing"), [("", True), ("  ", True), ("none", True), (" None ", True), ("nonexistent", False), ("0", False)])
def test_only_emptiness_and_the_word_none_stand_for_nothing(value: str, nothing: bool) -> None:
    assert is_nothing(value) is nothing


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://user:hunter2@mlflow:5000/x", "https://mlflow:5000/x"),
        ("https://user:p@ss@mlflow:5000", "https://mlflow:5000"),
        ("postgresql+psycopg://user@db/mlflow?sslmode=require", "postgresql+psycopg://db/mlflow?sslmode=require"),
        ("http://mlflow:5000/a@b", "http://mlflow:5000/a@b"),
        ("sqlite:////data/mlflow@home.db", "sqlite:////data/mlflow@home.db"),
        ("http://user:hunter2@[no-address", "http://[no-address"),
        ("none", "none"),
    ],
)
def test_a_password_is_not_shown(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_a_pod_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not runs_in_a_pod()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert runs_in_a_pod()


@pytest.mark.parametrize("uri", ["state", "/state", "file:///state", "gs://bucket/state", "sqlite:///mlflow.db", "http://mlflow:5000"])
def test_on_a_laptop_any_place_will_do(uri: str) -> None:
    assert check_ledger_uri(uri) == check_tracking_uri(uri) == uri


@pytest.mark.parametrize("uri", ["", "none", " "])
def test_a_missing_ledger_is_refused(uri: str) -> None:
    with pytest.raises(StateError, match=rf"state_ledger_uri is '{uri}': expected the folder or bucket of the ledger.*Set state_ledger_uri"):
        check_ledger_uri(uri)


@pytest.mark.parametrize("uri", ["", "none", " "])
def test_a_missing_server_is_refused(uri: str) -> None:
    with pytest.raises(StateError, match=rf"state_tracking_uri is '{uri}': expected an MLflow server, such as http://.*Set state_tracking_uri"):
        check_tracking_uri(uri)


@pytest.mark.usefixtures("in_a_pod")
@pytest.mark.parametrize("uri", ["state", "./state", "../state", "file://state"])
def test_a_relative_ledger_is_refused_in_a_pod(uri: str) -> None:
    with pytest.raises(StateError, match=rf"state_ledger_uri '{uri}' is a relative path: on a cluster each pod would keep its own ledger and lose it"):
        check_ledger_uri(uri)


@pytest.mark.usefixtures("in_a_pod")
@pytest.mark.parametrize("uri", ["/mnt/state", "gs://bucket/state", "s3://bucket/state", "file:///mnt/state"])
def test_a_ledger_that_every_pod_finds_is_taken(uri: str) -> None:
    assert check_ledger_uri(uri) == uri


@pytest.mark.usefixtures("in_a_pod")
@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:////mnt/mlflow.db", "mlruns", "file:///mlruns"])
def test_a_registry_on_the_pods_own_disk_is_refused(uri: str) -> None:
    with pytest.raises(StateError, match=rf"state_tracking_uri '{uri}' is not a server: .*promote to its own disk. Use the address of an MLflow server"):
        check_tracking_uri(uri)


@pytest.mark.usefixtures("in_a_pod")
@pytest.mark.parametrize("uri", ["http://mlflow:5000", "https://mlflow.example", "postgresql://db/mlflow"])
def test_a_server_is_taken(uri: str) -> None:
    assert check_tracking_uri(uri) == uri
