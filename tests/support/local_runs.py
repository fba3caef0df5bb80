"""Run a pipeline of a test's own on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from evergreen.pipeline.local_dag import LocalDag, LocalRunError, RunIdentity
from evergreen.pipeline.local_steps import StepProcesses


def run_here(pipeline: Any, root: Path, **arguments: Any) -> Path:
    """Run a pipeline, and return the folder of its artifacts; a failed step fails the test with all that the steps printed."""
    run = RunIdentity.new(str(pipeline.name), root)
    root.mkdir(parents=True, exist_ok=True)
    log_file = root / "log.txt"
    try:
        with log_file.open("w") as log:
            LocalDag(MessageToDict(pipeline.pipeline_spec), run, StepProcesses(log)).run(arguments)
    except LocalRunError as error:
        raise AssertionError(f"{error}\n{log_file.read_text()}") from error
    return root / run.pipeline_name / run.run_id
