"""Run a pipeline on this machine: processes instead of pods, MLflow on SQLite, folders instead of buckets."""

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
    """What happened in a local run.

    Attributes:
        run_id: The run's id.
        records: What each step reported, in the order of their start.
        failure: Which step failed, and how; empty when the run succeeded.
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
    *,
    make_launch: Callable[[IO[str]], Launch] | None = None,
    server: StepServer | None = None,
) -> LocalRun:
    """Run a pipeline on this machine, one step after the other.

    Args:
        pipeline: The pipeline.
        arguments: Its arguments, as `arguments_for` makes them.
        home: Where artifacts, logs and the default state go.
        on_change: Called from another thread with all step records whenever one was added or changed.
        make_launch: Makes what starts a step, given the file that gets all that the steps print; when not given, steps are processes that are forked
            from one that has imported what they need.
        server: That process, which may serve several runs; one for this run alone when not given.

    Returns:
        What happened; a failed step is reported there and not raised.
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
    """Yield what was given; else a process for steps to be forked from, which imports what they need."""
    if make_launch is not None:
        yield make_launch
        return
    with contextlib.nullcontext(server) if server is not None else StepServer() as forking:
        forking.preload(needs_in_order(spec))
        yield forking.launch


class RunFollower:
    """Reads what the steps of a run report."""

    def __init__(self, store: ObjectStore, run_id: str) -> None:
        """Remember whose records to read."""
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
