"""Run pipelines on this machine: those of the project, and those that a test makes.

Every whole run of the tests goes through here, so that what starts the steps is said once.
"""

from __future__ import annotations

import atexit
import shutil
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict

from evergreen.pipeline.loading import arguments_for, load_pipeline
from evergreen.pipeline.local_dag import Launch, LocalDag, LocalRunError, RunIdentity
from evergreen.pipeline.local_run import LocalRun, run_locally
from evergreen.pipeline.warm_steps import StepServer
from evergreen.runs.local_home import LocalHome

if TYPE_CHECKING:
    from collections.abc import Mapping


IMPORTED_ONCE = ["alibi_detect.cd"]
"""What `evergreen run` leaves to the one step that imports it, and what is a third of a quiet run when many runs follow each other."""


@cache
def step_server() -> StepServer:
    """Return the process that the steps of all runs of this worker are forked from; it imports what they need once."""
    server = StepServer()
    atexit.register(server.close)
    server.preload(IMPORTED_ONCE)
    return server


def start_steps(log: IO[str]) -> Launch:
    """Return what starts the steps of a run; all that they print goes into a log."""
    return step_server().launch(log)


def local_home(folder: Path, empty_database: Path) -> LocalHome:
    """Return a home for runs, with a copy of the database that the first of them would make."""
    folder.mkdir(parents=True)
    home = LocalHome(folder)
    shutil.copy(empty_database, home.tracking_uri.removeprefix("sqlite:///"))
    return home


def run_file(pipeline_file: Path, given: Mapping[str, Any], home: Path) -> LocalRun:
    """Run a pipeline of the project as `evergreen run` does; a failed step is told by what is returned."""
    pipeline = load_pipeline(pipeline_file)
    return run_locally(pipeline, arguments_for(pipeline, dict(given)), LocalHome(home), lambda _: None, server=step_server())


def run_here(pipeline: Any, root: Path, **arguments: Any) -> Path:
    """Run a pipeline, and return the folder of its artifacts; a failed step fails the test with all that the steps printed."""
    folder, failure = run_and_report(pipeline, root, arguments)
    if failure:
        raise AssertionError(f"{failure}\n{(root / 'log.txt').read_text()}")
    return folder


def run_and_report(pipeline: Any, root: Path, arguments: Mapping[str, Any]) -> tuple[Path, str]:
    """Run a pipeline; returns the folder of its artifacts and why it failed, nothing when it did not."""
    run = RunIdentity.new(str(pipeline.name), root)
    root.mkdir(parents=True, exist_ok=True)
    folder = root / run.pipeline_name / run.run_id
    with (root / "log.txt").open("w") as log:
        try:
            LocalDag(MessageToDict(pipeline.pipeline_spec), run, start_steps(log)).run(dict(arguments))
        except LocalRunError as error:
            return folder, str(error)
    return folder, ""
