"""Run a pipeline on this machine: KFP's local runner, MLflow on SQLite, folders instead of buckets."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.object_store import ObjectStore, open_store
from evergreen.run_log import LAUNCHER_VARIABLE, StepRecord, read_run
from evergreen.threads import wait_passively

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

POLL_INTERVAL_S = 0.1


@dataclass(frozen=True)
class LocalHome:
    """The folder that holds everything of local runs.

    Attributes:
        folder: The folder; created when needed.
    """

    folder: Path

    @property
    def tracking_uri(self) -> str:
        """The MLflow database."""
        return f"sqlite:///{self.folder.absolute() / 'mlflow.db'}"

    @property
    def ledger_uri(self) -> str:
        """The folder of the ledger and of run records."""
        return str(self.folder.absolute() / "ledger")

    @property
    def artifact_folder(self) -> Path:
        """Where KFP puts the artifacts of local runs."""
        return self.folder.absolute() / "artifacts"

    def new_log_file(self) -> Path:
        """Return the path of a log file for a run that starts now."""
        logs = self.folder.absolute() / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}.log"


@dataclass(frozen=True)
class LocalRun:
    """What happened in a local run.

    Attributes:
        run_id: KFP's id of the run; empty when no step reported.
        records: What each step reported, in the order of their start.
        failure: What KFP's runner raised; empty when the run succeeded.
        duration_s: Seconds of wall time.
        log_file: All that the steps printed.
        ledger_uri: The ledger that the run used.
    """

    run_id: str
    records: list[StepRecord]
    failure: str
    duration_s: float
    log_file: Path
    ledger_uri: str


def local_arguments(pipeline: GraphComponent, arguments: dict[str, Any], home: LocalHome) -> dict[str, Any]:
    """Fill in the local places of registry and ledger where the pipeline takes them and none were given."""
    defaults = {"state_tracking_uri": home.tracking_uri, "state_ledger_uri": home.ledger_uri}
    taken = pipeline.component_spec.inputs or {}
    return {**{name: uri for name, uri in defaults.items() if name in taken}, **arguments}


def run_locally(
    pipeline: GraphComponent,
    arguments: dict[str, Any],
    home: LocalHome,
    on_change: Callable[[list[StepRecord]], None],
    make_runner: Callable[[dict[str, str]], Any] | None = None,
) -> LocalRun:
    """Run a pipeline on this machine, one step after the other.

    Args:
        pipeline: The pipeline.
        arguments: Its arguments, as `arguments_for` makes them.
        home: Where artifacts, logs and the default state go.
        on_change: Called from another thread with all step records whenever one was added or changed.
        make_runner: Makes KFP's runner out of the environment variables that its steps have to see; steps are subprocesses when not given.

    Returns:
        What happened; a failed step is reported there and not raised.
    """
    from kfp import local

    _forget_retries(pipeline)
    wait_passively()
    complete = local_arguments(pipeline, arguments, home)
    ledger_uri = str(complete.get("state_ledger_uri", home.ledger_uri))
    log_file = home.new_log_file()
    failure = ""
    started = time.monotonic()
    with _launcher_token() as token, _watched(RunFollower(open_store(ledger_uri), token), on_change) as follower:
        runner = make_runner({LAUNCHER_VARIABLE: token}) if make_runner else local.SubprocessRunner(use_venv=False)
        local.init(runner=runner, pipeline_root=str(home.artifact_folder))
        try:
            with log_file.open("w", encoding="utf-8") as log, contextlib.redirect_stdout(log), warnings.catch_warnings():
                # KFP warns, for every step, of images and resources that do not matter on one machine.
                warnings.filterwarnings("ignore", module=r"kfp\.local\..*")
                pipeline(**complete)
        except RuntimeError as error:
            failure = str(error)
    return LocalRun(
        run_id=follower.run_id,
        records=follower.records(),
        failure=failure,
        duration_s=round(time.monotonic() - started, 2),
        log_file=log_file,
        ledger_uri=ledger_uri,
    )


def _forget_retries(pipeline: GraphComponent) -> None:
    # KFP's local runner waits out the back-off of a cluster's retries; on one machine a failed step fails again.
    spec = pipeline.pipeline_spec
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            task.ClearField("retry_policy")


class RunFollower:
    """Finds the run that this process launched, and reads what its steps report."""

    def __init__(self, store: ObjectStore, token: str) -> None:
        """Remember which runs were there before."""
        self._store = store
        self._token = token
        self._other_runs = {_run_of(name) for name in store.names("runs/")}
        self.run_id = ""

    def records(self) -> list[StepRecord]:
        """Return the step records written so far."""
        if not self.run_id:
            self._find_run()
        return read_run(self._store, self.run_id) if self.run_id else []

    def _find_run(self) -> None:
        for run_id in sorted({_run_of(name) for name in self._store.names("runs/")} - self._other_runs):
            records = read_run(self._store, run_id)
            if records and records[0].launcher == self._token:
                self.run_id = run_id
            elif records:
                self._other_runs.add(run_id)


def _run_of(object_name: str) -> str:
    return object_name.split("/")[1].removesuffix(".json").removesuffix(".html")


@contextlib.contextmanager
def _launcher_token() -> Iterator[str]:
    token = uuid.uuid4().hex
    os.environ[LAUNCHER_VARIABLE] = token
    try:
        yield token
    finally:
        del os.environ[LAUNCHER_VARIABLE]


@contextlib.contextmanager
def _watched(follower: RunFollower, on_change: Callable[[list[StepRecord]], None]) -> Iterator[RunFollower]:
    finished = threading.Event()

    def watch() -> None:
        seen: list[StepRecord] = []
        while not finished.wait(POLL_INTERVAL_S):
            records = follower.records()
            if records != seen:
                on_change(records)
                seen = records

    thread = threading.Thread(target=watch, name="evergreen-run-watcher", daemon=True)
    thread.start()
    try:
        yield follower
    finally:
        finished.set()
        thread.join()
        on_change(follower.records())
