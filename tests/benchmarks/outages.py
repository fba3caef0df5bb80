"""What a step does while a server it needs fails: each store, each fault, whether the call succeeded, how long it waited, and what was done twice.

The stores are real servers on this machine (MLflow, emulators of Google Cloud Storage and S3, SQLite, a Kafka broker) behind one that fails. Run it with
``python tests/benchmarks/outages.py``; with ``--minutes 5`` every server stays away for five minutes, as long as a step on a cluster has to bear.
The exit code says whether every bar was met.
"""

# where modules are found is set before the tests' own are imported
from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# Instead of this folder, in which `ingestion` is another benchmark.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from evergreen.errors import EvergreenError
from evergreen.ingestion.sources.base import SourceRequest
from evergreen.ingestion.sources.opening import open_source
from evergreen.registry.ledger import Entry, Ledger
from evergreen.storage.experiments import connect
from evergreen.storage.google_cloud import open_bucket
from evergreen.storage.opening import open_store
from support.faulty_server import FaultyConnection, FaultyServer
from support.mlflow_server import running
from support.servers import free_port, google_storage, simple_storage

PERMANENT_BAR_S = 5.0
LONGEST_PAUSE_S = 16.0
"""So long after a server is back may the next attempt come."""
ROWS = 10
START_S = 1_704_067_200
REQUEST = SourceRequest(timestamp_column="time", excluded_columns=(), window_end=None, window_days=1000, label_delay_days=0, now=time.time_ns() // 1000)


class Store(Protocol):
    """A store that can fail, and one piece of work with it."""

    name: str

    def work(self) -> None: ...
    def duplicates(self) -> int: ...
    def faults(self) -> dict[str, Callable[[float], None]]: ...
    def refusals(self) -> dict[str, Callable[[], None]]: ...


class _OverHttp:
    """Faults of a server that speaks HTTP."""

    proxy: FaultyServer

    def faults(self) -> dict[str, Callable[[float], None]]:
        return {
            "503": self._answers_503,
            "reset": self._resets,
            "lost answer": lambda _: self._plan("lose", methods=("POST", "PUT")),
            "away": self.proxy.go_away,
        }

    def refusals(self) -> dict[str, Callable[[], None]]:
        return {str(status): lambda status=status: self._plan("answer", times=-1, status=status) for status in (401, 403, 404)}

    def _plan(self, kind: str, **settings: Any) -> None:
        self.proxy.faults.clear()
        self.proxy.plan(kind, **settings)

    def _answers_503(self, seconds: float) -> None:
        self._plan("answer", times=-1)
        threading.Timer(seconds, self.proxy.faults.clear).start()

    def _resets(self, seconds: float) -> None:
        self._plan("reset", times=-1)
        threading.Timer(seconds, self.proxy.faults.clear).start()


class MLflow(_OverHttp):
    name = "MLflow"

    def __init__(self, upstream: str) -> None:
        self.proxy = FaultyServer(upstream)
        self._models: list[str] = []

    def work(self) -> None:
        from evergreen.registry.versions import ModelRegistry

        name = f"model-{uuid.uuid4().hex[:8]}"
        self._models.append(name)
        tracking = connect(self.proxy.url, name)
        run = tracking.client.create_run(tracking.experiment_id, tags={"evergreen.challenger_id": name})
        logged = tracking.client.create_logged_model(tracking.experiment_id, name="model", source_run_id=run.info.run_id)
        tracking.client.finalize_logged_model(logged.model_id, "READY")
        registry = ModelRegistry(self.proxy.url, name)
        registry.move_alias(str(registry.register(model_id=logged.model_id, run_id=run.info.run_id, challenger_id=name, tags={}).version))

    def duplicates(self) -> int:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"http://{self.proxy.upstream}", registry_uri=f"http://{self.proxy.upstream}")
        more = 0
        for name in self._models:
            experiment = client.get_experiment_by_name(f"evergreen/{name}")
            if experiment is not None:
                more += max(0, len(client.search_runs([experiment.experiment_id])) - 1) + max(
                    0, len(client.search_logged_models([experiment.experiment_id])) - 1
                )
            more += max(0, len(client.search_model_versions(f"name = '{name}'")) - 1)
        return more


class Bucket(_OverHttp):
    def __init__(self, name: str, scheme: str, upstream: str) -> None:
        self.name, self.proxy, self._scheme = name, FaultyServer(upstream), scheme
        self._appended = 0
        self._use(self.proxy.url)
        if scheme == "gs":
            bucket, _ = open_bucket("gs://state")
            bucket.client.create_bucket(bucket)
        else:
            import boto3

            boto3.client("s3").create_bucket(Bucket="state")

    def work(self) -> None:
        self._use(self.proxy.url)
        self._appended += 1
        self._ledger().append(Entry("kept", run_id=f"run-{self._appended}", step_name="keep"))

    def duplicates(self) -> int:
        runs = [record.run_id for record in self._ledger().records()]
        return len(runs) - len(set(runs)) + len(self._ledger().verify())

    def _ledger(self) -> Ledger:
        return Ledger(open_store(f"{self._scheme}://state/evergreen"), "rain")

    def _use(self, url: str) -> None:
        names = (
            {"STORAGE_EMULATOR_HOST": url} if self._scheme == "gs" else {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        )
        os.environ.update(names, AWS_DEFAULT_REGION="us-east-1")


class _Rows:
    """Counts the rows that a source gave more than once."""

    uri: str
    more = 0

    def _read(self, uri: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fetched = open_source(uri).fetch(REQUEST, Path(folder))
            self.more += sum(_rows_of(file.path) for file in fetched.files) - ROWS

    def duplicates(self) -> int:
        return self.more


def _rows_of(path: Path) -> int:
    if path.suffix == ".jsonl":
        return len(path.read_text().splitlines())
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(path).num_rows)


class Sqlite(_Rows):
    name = "SQL"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "d.sqlite"
        with sqlite3.connect(self._file) as connection:
            connection.execute("CREATE TABLE events (time INTEGER, value REAL)")
            connection.executemany("INSERT INTO events VALUES (?, ?)", [(START_S + day * 86_400, day) for day in range(ROWS)])
        connection.close()
        self.uri = f"sqlite:///{self._file}?timeout=0.1#events"

    def work(self) -> None:
        self._read(self.uri)

    def faults(self) -> dict[str, Callable[[float], None]]:
        return {"locked": self._lock}

    def refusals(self) -> dict[str, Callable[[], None]]:
        return {"no such table": lambda: setattr(self, "uri", self.uri.replace("#events", "#absent"))}

    def _lock(self, seconds: float) -> None:
        holder = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN EXCLUSIVE")
        threading.Timer(seconds, holder.close).start()


class Postgresql(_Rows):
    name = "SQL (PostgreSQL)"

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa

        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE events (time bigint, value double precision)"))
            connection.execute(sa.text("INSERT INTO events VALUES (:time, :value)"), [{"time": START_S + day * 86_400, "value": day} for day in range(ROWS)])
        port = engine.url.port or 0
        engine.dispose()
        self._proxy = FaultyConnection("127.0.0.1", port)
        self.uri = f"{url.replace(str(port), str(self._proxy.port))}#events"

    def work(self) -> None:
        self._read(self.uri)

    def faults(self) -> dict[str, Callable[[float], None]]:
        return {"connection dropped": lambda _: self._proxy.cut_after(2000), "away": self._proxy.go_away}

    def refusals(self) -> dict[str, Callable[[], None]]:
        return {"no such database": lambda: setattr(self, "uri", self.uri.replace("/postgres#", "/absent#"))}


class Kafka(_Rows):
    name = "Kafka"

    def __init__(self, broker: str) -> None:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic

        admin, topic = AdminClient({"bootstrap.servers": broker}), f"events-{uuid.uuid4().hex[:8]}"
        admin.create_topics([NewTopic(topic, 1, 1, config={"retention.ms": "-1"})])[topic].result(timeout=20)
        producer = Producer({"bootstrap.servers": broker})
        for day in range(ROWS):
            producer.produce(topic, json.dumps({"time": START_S + day * 86_400, "value": day}), timestamp=(START_S + day * 86_400) * 1000)
        producer.flush(20)
        host, _, port = broker.partition(":")
        self._proxy = FaultyConnection(host, int(port))
        self.uri = f"kafka://{host}:{self._proxy.port}/{topic}"

    def work(self) -> None:
        self._read(self.uri)

    def faults(self) -> dict[str, Callable[[float], None]]:
        return {"away": self._proxy.go_away}

    def refusals(self) -> dict[str, Callable[[], None]]:
        return {"no such topic": lambda: setattr(self, "uri", f"{self.uri}-absent")}


class WholeRun:
    """Runs of pipelines by `evergreen run`, while each ninth request to MLflow and to the ledger's bucket fails."""

    name = "whole run"

    def __init__(self, folder: Path, tracking: str, bucket: str) -> None:
        self._folder, self._tracking, self._bucket = folder, FaultyServer(tracking), FaultyServer(bucket)
        os.environ["STORAGE_EMULATOR_HOST"] = bucket
        made, _ = open_bucket("gs://runs")
        made.client.create_bucket(made)

    def row(self, pipeline: str) -> Row:
        for proxy in (self._tracking, self._bucket):
            proxy.faults.clear()
            for number, kind in enumerate(("answer", "reset", "lose")):
                proxy.plan(kind, times=-1, every=27, seen=9 * number)
        root = Path(__file__).resolve().parent.parent.parent
        values = {"data_source_uri": root / "demo" / "weather.parquet", "data_timestamp_column": "observed_at", "data_target_column": "rain"}
        values |= {"data_window_days": 365, "model_name": pipeline, "state_tracking_uri": self._tracking.url, "state_ledger_uri": "gs://runs/evergreen"}
        words = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
        command = [sys.executable, "-c", "from evergreen.cli.main import main; main()", "run", str(root / "pipelines" / f"{pipeline}.py"), *words, "--json"]
        started = time.monotonic()
        environment = {**os.environ, "STORAGE_EMULATOR_HOST": self._bucket.url}
        done = subprocess.run(command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
        seconds = time.monotonic() - started
        waits = done.stdout.count("Waiting for ") + done.stderr.count("Waiting for ")
        doubled = self._duplicates(pipeline)
        outcome = "succeeded" if done.returncode == 0 else f"FAILED: {done.stderr[-2000:]}"
        bar = 300.0
        return Row(self.name, pipeline, outcome, seconds, bar, doubled, waits, done.returncode == 0 and seconds <= bar and doubled == 0 and waits > 0)

    def _duplicates(self, model: str) -> int:
        from mlflow import MlflowClient

        uri = f"http://{self._tracking.upstream}"
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        experiment = client.get_experiment_by_name(f"evergreen/{model}")
        records = Ledger(open_store("gs://runs/evergreen"), model).records()
        # A first run fits a challenger and fits it again on all rows; it makes one version and one promotion.
        found = [len(client.search_runs([experiment.experiment_id])) - 2 if experiment else 0, len(client.search_model_versions(f"name = '{model}'")) - 1]
        return sum(max(0, more) for more in (*found, len(records) - len({(record.run_id, record.kind) for record in records})))


@contextlib.contextmanager
def kafka_broker(folder: Path) -> Iterator[str]:
    port = free_port()
    words = [str(Path(sys.executable).parent / "noida-db"), "start", "--only", "kafka", "--kafka-port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


@dataclass
class Row:
    store: str
    fault: str
    outcome: str
    seconds: float
    bar: float
    duplicates: int
    waits: int
    met: bool

    def __str__(self) -> str:
        figures = f"{self.store:17} {self.fault:19} {self.outcome:9} {self.seconds:8.1f} s  bar {self.bar:6.1f} s  duplicates {self.duplicates} (bar 0)"
        return f"{figures}  {self.waits} waits told  {'met' if self.met else 'MISSED'}"


def tried(store: Store, fault: str, cause: Callable[[], None], *, bar: float, succeeds: bool) -> Row:
    """Cause a fault, do the work, and look at what came of it."""
    log, outcome = io.StringIO(), "succeeded"
    cause()
    started = time.monotonic()
    with contextlib.redirect_stderr(log):
        try:
            store.work()
        except EvergreenError as error:
            outcome = "refused" if not succeeds else f"FAILED: {error}"
    seconds = time.monotonic() - started
    waits = [line for line in log.getvalue().splitlines() if line.startswith("Waiting for ")]
    if hasattr(store, "proxy"):
        store.proxy.faults.clear()
    doubled = store.duplicates()
    said = bool(waits) == succeeds
    met = outcome == ("succeeded" if succeeds else "refused") and seconds <= bar and doubled == 0 and said
    return Row(store.name, fault, outcome, seconds, bar, doubled, len(waits), met)


def rows_of(store: Store, seconds: float) -> Iterator[Row]:
    # Once without a fault: what is imported and connected for the first time is not the fault's.
    store.work()
    for fault, cause in store.faults().items():
        lasting = fault not in ("lost answer", "connection dropped")
        yield tried(
            store, f"{fault} {seconds:g} s" if lasting else fault, lambda cause=cause: cause(seconds), bar=seconds + LONGEST_PAUSE_S + 10, succeeds=True
        )
    for fault, cause in store.refusals().items():
        yield tried(store, fault, cause, bar=PERMANENT_BAR_S, succeeds=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, help="how long each server stays away; 4 seconds by default")
    parser.add_argument("--store", action="append", help="only these: MLflow, GCS, S3, SQL, Kafka, PostgreSQL, run")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes if arguments.minutes else 4.0
    os.environ["EVERGREEN_RETRY_SECONDS"] = "600"
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="evergreen-outages-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        makers: dict[str, Callable[[], Store]] = {
            "MLflow": lambda: MLflow(stack.enter_context(running(folder, f"sqlite:///{folder}/mlflow.db")).uri),
            "GCS": lambda: Bucket("GCS", "gs", stack.enter_context(google_storage(folder))),
            "S3": lambda: Bucket("S3", "s3", stack.enter_context(simple_storage())),
            "SQL": lambda: Sqlite(folder),
            "Kafka": lambda: Kafka(stack.enter_context(kafka_broker(folder))),
        }
        if list(Path("/usr/lib/postgresql").glob("*/bin")):
            from support.postgresql_server import postgresql

            makers["PostgreSQL"] = lambda: Postgresql(stack.enter_context(postgresql(folder / "postgresql")))
        for kind, make in makers.items():
            if arguments.store and kind not in arguments.store:
                continue
            for row in rows_of(make(), seconds):
                rows.append(row)
                print(row, flush=True)
        if not arguments.store or "run" in arguments.store:
            place = folder / "run"
            place.mkdir()
            whole = WholeRun(place, stack.enter_context(running(place, f"sqlite:///{place}/mlflow.db")).uri, stack.enter_context(google_storage(place)))
            for pipeline in ("lean_retraining", "continuous_retraining"):
                rows.append(whole.row(pipeline))
                print(rows[-1], flush=True)
    missed = sum(not row.met for row in rows)
    print(f"{len(rows) - missed} of {len(rows)} bars met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
