"""Runs a pipeline on this machine: processes instead of pods, MLflow on SQLite, folders instead of buckets."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evergreen.models.threads import wait_passively
from evergreen.pipeline.local_dag import Launch, LocalDag, LocalRunError, RunIdentity
from evergreen.pipeline.preloads import needs_in_order
from evergreen.pipeline.warm_steps import StepServer
from evergreen.runs.records import StepRecord, read_run
from evergreen.storage.opening import open_store

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

    from evergreen.runs.local_home import LocalHome
    from evergreen.storage.base import ObjectStore

POLL_INTERVAL_S = 0.1


@dataclass(frozen=True)
class LocalRun:
    """The result of a local run.

    Attributes:
        run_id: ID of the run.
        records: Records of the steps, in the order in which they started.
        failure: Which step failed, and how; empty if the run succeeded.
        duration_s: Seconds of wall time.
        log_file: Output of all steps.
        ledger_uri: Location of the ledger used by the run.
    """

    run_id: str
    records: list[StepRecord]
    failure: str
    duration_s: float
    log_file: Path
    ledger_uri: str


def local_arguments(pipeline: GraphComponent, arguments: dict[str, Any], home: LocalHome) -> dict[str, Any]:
    """Fill in the local registry and ledger if the pipeline has these parameters and they are not given."""
    defaults = {"state_tracking_uri": home.tracking_uri, "state_ledger_uri": home.ledger_uri}
    taken = pipeline.component_spec.inputs or {}
    return {**{name: uri for name, uri in defaults.items() if name in taken}, **arguments}


def run_locally(
    pipeline: GraphComponent,
    arguments: dict[str, Any],
    home: LocalHome,
    on_change: Callable[[list[StepRecord]], None],
    *,
    make_launch: Callable[[IO[str]], Launch] | None = None,
    server: StepServer | None = None,
) -> LocalRun:
    """Run a pipeline on this machine, one step after the other.

    Args:
        pipeline: The pipeline.
        arguments: Its arguments, as returned by `arguments_for`.
        home: Location of artifacts, logs and the default state.
        on_change: Called from another thread with all step records whenever a record is added or changed.
        make_launch: Returns a function that starts a step, given the file that receives the output of all steps. By default, steps are forked from a
            process that has imported their modules.
        server: That process, which may serve several runs. Defaults to a new one for this run.

    Returns:
        The result. A failed step is reported in it rather than raised.
    """
    from google.protobuf.json_format import MessageToDict

    wait_passively()
    complete = local_arguments(pipeline, arguments, home)
    ledger_uri = str(complete.get("state_ledger_uri", home.ledger_uri))
    log_file = home.new_log_file()
    run = RunIdentity.new(str(pipeline.name), home.artifact_folder)
    failure = ""
    started = time.monotonic()
    spec = MessageToDict(pipeline.pipeline_spec)
    with (
        log_file.open("w", encoding="utf-8") as log,
        _launching(make_launch, server, spec) as launch,
        _watched(RunFollower(open_store(ledger_uri), run.run_id), on_change) as follower,
    ):
        try:
            LocalDag(spec, run, launch(log)).run(complete)
        except LocalRunError as error:
            failure = str(error)
            log.write(f"\n{failure}\n")
    return LocalRun(
        run_id=run.run_id,
        records=follower.records(),
        failure=failure,
        duration_s=round(time.monotonic() - started, 2),
        log_file=log_file,
        ledger_uri=ledger_uri,
    )


@contextlib.contextmanager
def _launching(make_launch: Callable[[IO[str]], Launch] | None, server: StepServer | None, spec: dict[str, Any]) -> Iterator[Callable[[IO[str]], Launch]]:
    """Yield the given function, or one that forks steps from a process that imports their modules."""
    if make_launch is not None:
        yield make_launch
        return
    with contextlib.nullcontext(server) if server is not None else StepServer() as forking:
        forking.preload(needs_in_order(spec))
        yield forking.launch


class RunFollower:
    """Reads the records of the steps of a run."""

    def __init__(self, store: ObjectStore, run_id: str) -> None:
        """Store the run whose records to read."""
        self._store = store
        self._run_id = run_id

    def records(self) -> list[StepRecord]:
        """Return the step records written so far."""
        return read_run(self._store, self._run_id)


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
