"""Real servers that fail as servers and networks do: the call succeeds, nothing is done twice, and the log says what was waited for."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.deployment.cloud_target import GoogleCloudTarget
from evergreen.errors import StateError
from evergreen.registry.champion import write_champion
from evergreen.registry.ledger import Entry, Ledger
from evergreen.registry.versions import ModelRegistry
from evergreen.storage.experiments import connect
from evergreen.storage.local import LocalStore
from evergreen.storage.mlflow_claims import ClaimedStore
from evergreen.storage.opening import open_store
from evergreen.storage.tracked_files import download_files
from evergreen.storage.tracking import open_client
from evergreen.training.search.memory import SearchMemory
from support.faulty_server import Fault, FaultyServer
from support.mlflow_server import running
from support.registry_fixtures import World, no_run_from_outside, world

if TYPE_CHECKING:
    from evergreen.storage.base import ObjectStore

__all__ = ["no_run_from_outside", "world"]

pytestmark = [pytest.mark.usefixtures("patient"), pytest.mark.timeout(120), pytest.mark.begins_first]
UNTIL = r"\. Next attempt in [\d.]+ s, until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.$"
AT_ONCE_S = 5.0
"""A permanent fault must not take longer."""


def waits(capfd: pytest.CaptureFixture[str], service: str) -> list[str]:
    """Return the lines about waits; each has to name the service, the reason and the end."""
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Waiting for ")]
    assert all(re.match(rf"Waiting for {re.escape(service)}[^ ]*: .+{UNTIL}", line) for line in lines), lines
    return lines


def fail(proxy: FaultyServer, fault: str) -> None:
    """Let a server fail in one of the ways that pass."""
    if fault == "away":
        proxy.go_away(0.7)
    elif fault == "503":
        proxy.plan("answer", times=3, status=503)
    else:
        proxy.plan("reset", times=2)


@pytest.fixture(scope="module")
def mlflow_upstream(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(empty_database, folder / "server.db")
    with running(folder, f"sqlite:///{folder}/server.db") as server:
        yield server.uri


@pytest.fixture
def mlflow(mlflow_upstream: str) -> Iterator[FaultyServer]:
    proxy = FaultyServer(mlflow_upstream)
    yield proxy
    proxy.close()


@pytest.fixture
def remote(world: World, mlflow: FaultyServer, request: pytest.FixtureRequest) -> World:
    """A model of its own on a server that can fail."""
    return world.at(mlflow.url, model_name=re.sub(r"\W", "-", request.node.name))


def made(world: World) -> dict[str, int]:
    """Count what MLflow holds of a model."""
    client = world.client
    experiment = client.get_experiment_by_name(f"evergreen/{world.model_name}")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    outputs = sum(len(run.outputs.model_outputs) for run in runs if run.outputs)
    logged = client.search_logged_models([experiment.experiment_id])
    return {"runs": len(runs), "models": len(logged), "outputs": outputs, "versions": len(world.versions())}


ONCE = {"runs": 1, "models": 1, "outputs": 1, "versions": 1}


@pytest.mark.mlflow_server
@pytest.mark.parametrize("fault", ["503", "reset", "away"])
def test_a_model_is_logged_promoted_and_loaded_though_mlflow_fails_each_time(remote: World, mlflow: FaultyServer, fault: str, capfd: Any) -> None:
    fail(mlflow, fault)
    inputs = remote.challenger("a")
    fail(mlflow, fault)
    assert remote.promote(remote.passed(inputs)).outcome == "promoted"
    fail(mlflow, fault)
    champion = write_champion(tracking_uri=mlflow.url, ledger_uri=remote.ledger_uri, model_name=remote.model_name, **remote.outputs())
    assert champion.version == "1"
    lines = waits(capfd, f"the MLflow server {mlflow.url}")
    assert len(lines) >= 3
    assert (made(remote), remote.state()) == (ONCE, (["1"], "1", ["promotion"]))


MAKING = {
    "experiment": "experiments/create",
    "run": "runs/create",
    "logged model": "mlflow/logged-models",
    "outputs": "runs/outputs",
    "metrics": "runs/log-batch",
    "artifact": "mlflow-artifacts",
    "registered model": "registered-models/create",
    "version": "model-versions/create",
    "alias": "registered-models/alias",
    "tag": "registered-models/set-tag",
}


@pytest.mark.mlflow_server
@pytest.mark.parametrize("request_of", MAKING)
def test_what_mlflow_did_though_its_answer_was_lost_is_not_done_twice(remote: World, mlflow: FaultyServer, request_of: str, capfd: Any) -> None:
    lost = mlflow.plan("lose", times=1, methods=("POST", "PUT", "PATCH"), path=MAKING[request_of])
    assert remote.promote(remote.passed(remote.challenger("a"))).outcome == "promoted"
    assert lost.times == 0, "no such request was sent"
    assert len(waits(capfd, f"the MLflow server {mlflow.url}")) == 1
    assert (made(remote), remote.state()) == (ONCE, (["1"], "1", ["promotion"]))
    assert remote.ledger.verify() == []


@pytest.mark.mlflow_server
@pytest.mark.parametrize("kind", ["answer", "reset", "lose"])
def test_many_files_pass_a_server_that_fails_now_and_then(remote: World, mlflow: FaultyServer, kind: str) -> None:
    # A folder has more files than pass in a row.
    mlflow.plan(kind, times=-1, every=4)
    assert remote.promote(remote.passed(remote.challenger("a"))).outcome == "promoted"
    champion = write_champion(tracking_uri=mlflow.url, ledger_uri=remote.ledger_uri, model_name=remote.model_name, **remote.outputs())
    mlflow.faults.clear()
    assert champion.version == "1"
    assert (made(remote), remote.state()) == (ONCE, (["1"], "1", ["promotion"]))


@pytest.mark.mlflow_server
def test_files_that_are_gone_are_named_at_once(remote: World, mlflow_upstream: str) -> None:
    remote.promote(remote.passed(remote.challenger("a")))
    location = remote.client.get_model_version(remote.model_name, "1").source
    started = time.monotonic()
    with pytest.raises(FileNotFoundError, match="no files found at"):
        download_files(f"{location}/absent", str(remote.folder), mlflow_upstream)
    assert time.monotonic() - started < AT_ONCE_S


@pytest.mark.mlflow_server
def test_a_version_that_is_taken_back_though_the_answer_was_lost_stays_away(remote: World, mlflow: FaultyServer) -> None:
    remote.promote(remote.passed(remote.challenger("a")))
    mlflow.plan("lose", path="model-versions/delete", methods=("DELETE", "POST"))
    open_client(mlflow.url).delete_model_version(remote.model_name, "1")
    assert remote.versions() == []


@pytest.mark.mlflow_server
def test_a_score_of_a_search_is_kept_once(remote: World, mlflow: FaultyServer) -> None:
    from evergreen.training.search.candidates import Trial

    memory = SearchMemory(connect(mlflow.url, remote.model_name), "searched")
    mlflow.plan("lose", times=1, path="runs/log-metric")
    memory.keep(Trial({"C": 1.0}), 0.5, best=0.5, number=1)
    (run,) = remote.client.search_runs([connect(mlflow.url, remote.model_name).experiment_id])
    assert [len(remote.client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics] == [1, 1]


@pytest.mark.mlflow_server
@pytest.mark.parametrize(("status", "body"), [(401, b""), (403, b'{"message": "Forbidden"}'), (404, b"<html>"), (400, b"{}"), (409, b"x")])
def test_a_refusal_of_mlflow_is_one_message_at_once(remote: World, mlflow: FaultyServer, status: int, body: bytes, capfd: Any) -> None:
    registry = ModelRegistry(mlflow.url, remote.model_name)
    mlflow.plan("answer", times=-1, status=status, body=body)
    started, asked = time.monotonic(), len(mlflow.requests)
    with pytest.raises(StateError, match=rf"state_tracking_uri '{mlflow.url}': MLflow rejected the request: .*Check the server"):
        registry.alias_version()
    assert time.monotonic() - started < AT_ONCE_S
    assert len(mlflow.requests) == asked + 1
    assert waits(capfd, "") == []


@pytest.mark.mlflow_server
def test_mlflow_that_stays_away_is_waited_for_once_in_all(remote: World, mlflow: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = remote.challenger("a")
    passed = remote.passed(inputs)
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "2")
    mlflow.plan("answer", times=-1, status=503)
    started = time.monotonic()
    with pytest.raises(StateError, match=r"the MLflow server cannot be reached: gave up after \d+ attempts in 2 s; .*503: Service Unavailable.*Start it"):
        remote.promote(passed)
    with pytest.raises(StateError, match="gave up after 1 attempt"):
        remote.challenger("b")
    assert time.monotonic() - started < 2 + AT_ONCE_S


def test_a_locked_database_of_mlflow_is_waited_for(world: World, capfd: Any) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def impatient(connection: Any, *_: Any) -> None:
        # MLflow lets SQLite itself wait for 20 s.
        connection.execute("PRAGMA busy_timeout = 50")

    client = open_client(world.tracking_uri)
    client.create_registered_model("rain")
    holder = sqlite3.connect(world.folder / "mlflow.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    begun = threading.Timer(1.0, lambda: holder.execute("ROLLBACK"))

    def shortened(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 50"), parameters

    event.listen(Engine, "connect", impatient)
    event.listen(Engine, "before_cursor_execute", shortened, retval=True)
    try:
        begun.start()
        client.set_registered_model_tag("rain", "a", "b")
    finally:
        event.remove(Engine, "connect", impatient)
        event.remove(Engine, "before_cursor_execute", shortened)
        begun.join()
        holder.close()
    lines = waits(capfd, f"MLflow's database {world.tracking_uri}")
    assert lines
    assert "database is locked" in lines[0]
    assert world.client.get_registered_model("rain").tags == {"a": "b"}


@pytest.mark.mlflow_server
def test_a_claim_whose_answer_was_lost_is_the_claimers(mlflow: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.url)
    lost = mlflow.plan("lose", path="registered-models/create")
    store = ClaimedStore(LocalStore(str(tmp_path / "state")))
    assert store.create("slot", b"mine") is True
    assert store.create("slot", b"other") is False
    assert (lost.times, store.read("slot")) == (0, b"mine")


@pytest.fixture(params=[pytest.param("gs", marks=pytest.mark.gcs), pytest.param("s3", marks=pytest.mark.s3)])
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FaultyServer, ObjectStore]]:
    """A store in a bucket that can fail."""
    proxy = FaultyServer(request.getfixturevalue("google_server" if request.param == "gs" else "s3_server"))
    name = f"state-{abs(hash(tmp_path)) % 10**9}"
    if request.param == "gs":
        from evergreen.storage.google_cloud import open_bucket

        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        made, _ = open_bucket(f"gs://{name}")
        made.client.create_bucket(made)
    else:
        import boto3

        for variable, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1"), ("ENDPOINT_URL", proxy.url)):
            monkeypatch.setenv(f"AWS_{variable}", value)
        boto3.client("s3").create_bucket(Bucket=name)
    yield proxy, open_store(f"{request.param}://{name}/evergreen")
    proxy.close()


def named(store: ObjectStore) -> str:
    return f"Google Cloud Storage {store.uri}" if store.uri.startswith("gs") else f"S3 {store.uri}"


CALLS: dict[str, Callable[[ObjectStore], Any]] = {
    "read": lambda store: store.read("there") == b"content",
    "read nothing": lambda store: store.read("absent") is None,
    "write": lambda store: store.write("new", b"content") is None,
    "create": lambda store: store.create("slot", b"mine"),
    "create what is there": lambda store: store.create("there", b"mine") is False,
    "names": lambda store: "there" in store.names(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["503", "reset", "away"])
def test_a_bucket_that_fails_for_a_while_is_waited_for(bucket: tuple[FaultyServer, ObjectStore], fault: str, call: str, capfd: Any) -> None:
    proxy, store = bucket
    store.write("there", b"content")
    assert store.create("first", b"") is True
    fail(proxy, fault)
    assert CALLS[call](store)
    assert len(waits(capfd, named(store))) >= 2
    assert store.read("there") == b"content"


def test_a_record_whose_answer_was_lost_is_not_appended_twice(bucket: tuple[FaultyServer, ObjectStore]) -> None:
    proxy, store = bucket
    ledger = Ledger(store, "rain")
    ledger.append(Entry("promotion", "1", "run-1", "deploy_model"))
    lost = proxy.plan("lose", methods=("POST", "PUT"))
    assert store.create("slot", b"mine") is True
    assert (lost.times, store.create("slot", b"mine")) == (0, False)
    lost = proxy.plan("lose", methods=("POST", "PUT"))
    record = ledger.append(Entry("promotion", "2", "run-2", "deploy_model"), expected_champion="1")
    assert lost.times == 0
    assert (record.number, [each.run_id for each in ledger.records()], ledger.verify()) == (2, ["run-1", "run-2"], [])


def test_another_s_record_is_not_taken_for_ours_after_a_failure(bucket: tuple[FaultyServer, ObjectStore]) -> None:
    proxy, store = bucket
    store.create("slot", b"theirs")
    proxy.plan("answer", status=503, methods=("POST", "PUT"))
    assert store.create("slot", b"mine") is False
    assert store.read("slot") == b"theirs"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("call", ["read", "write", "create", "names"])
def test_a_refusal_of_a_bucket_is_one_message_at_once(bucket: tuple[FaultyServer, ObjectStore], status: int, call: str, capfd: Any) -> None:
    proxy, store = bucket
    store.create("first", b"")
    proxy.plan("answer", times=-1, status=status, methods=("GET", "POST", "PUT"))
    started = time.monotonic()
    with pytest.raises(StateError, match=rf"ledger URI '{store.uri}': "):
        CALLS[call](store)
    assert time.monotonic() - started < AT_ONCE_S
    assert waits(capfd, "") == []


@pytest.mark.parametrize("header", ["2", "date"])
def test_a_bucket_that_says_when_to_come_again_is_asked_then(bucket: tuple[FaultyServer, ObjectStore], header: str) -> None:
    proxy, store = bucket
    store.write("there", b"content")
    text = header if header == "2" else time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
    proxy.plan("answer", status=503, headers={"Retry-After": text})
    asked = len(proxy.requests)
    assert store.read("there") == b"content"
    # Google's client asks once for the bucket itself, too.
    times = [moment for _, path, moment in proxy.requests[asked:] if "there" in path]
    assert 1.9 <= times[1] - times[0] < 4


@pytest.mark.gcs
@pytest.mark.parametrize("fault", ["503", "reset", "away", "lose"])
def test_a_version_is_published_and_pulled_though_the_bucket_fails(
    world: World, google_server: str, monkeypatch: pytest.MonkeyPatch, fault: str, capfd: Any
) -> None:
    from evergreen.deployment.pulling import pull
    from evergreen.storage.google_cloud import open_bucket

    proxy = FaultyServer(google_server)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    uri = f"gs://published-{fault.lower()}/models"
    made, _ = open_bucket(uri)
    made.client.create_bucket(made)
    world.promote(world.passed(world.challenger("a")))
    target = GoogleCloudTarget(uri, ModelRegistry(world.tracking_uri, world.model_name))
    faults: list[Fault] = []
    if fault == "lose":
        faults = [proxy.plan("lose", methods=("POST",), path="", times=3)]
    else:
        fail(proxy, fault)
    target.finish("1")
    assert target.observe() == {"1": 1.0}
    if fault != "lose":
        fail(proxy, fault)
    pulled = pull(uri, world.model_name, world.folder / "device")
    assert (pulled.version, all(each.times == 0 for each in faults)) == ("1", True)
    assert len(waits(capfd, f"Google Cloud Storage {uri}")) >= 2
    proxy.close()
