"""Runs each step of a pipeline as a separate process on this machine."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from evergreen.pipeline.component import EXECUTOR_MODULE
from evergreen.pipeline.local_dag import LocalRunError, Step

KFP_EXECUTOR_MODULE = "kfp.dsl.executor_main"


class StepProcesses:
    """Starts steps as processes with this interpreter and this environment."""

    def __init__(self, log: IO[str]) -> None:
        """Store the file that receives the output of all steps."""
        self._log = log

    def __call__(self, step: Step) -> int:
        """Run a step and return its exit status.

        Raises:
            LocalRunError: The step is not a Python component, so its command needs its image; or its parameters are too long for a command line.
        """
        check_python_component(step)
        announce(step, self._log)
        return self.run(step)

    def run(self, step: Step) -> int:
        """Run a step that has already been announced in the log, and return its exit status.

        Raises:
            LocalRunError: Its parameters are too long for a command line.
        """
        command = [sys.executable if part == "python3" else part for part in filled_in(step)]
        try:
            finished = subprocess.run(  # noqa: S603  # the command comes from the pipeline file
                command, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=step_environment(step.environment), check=False
            )
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            raise LocalRunError(
                f"step {step.task_name!r}: its parameters have {max(map(len, command)):,} characters, too many for a command line, here or on a cluster. "
                "Put long text into a file, and pass its path or URI."
            ) from error
        return finished.returncode


def check_python_component(step: Step) -> None:
    """Reject a component that is not written in Python.

    Raises:
        LocalRunError: Its command is neither Evergreen's nor KFP's executor.
    """
    if not any(module in part for part in step.command for module in (EXECUTOR_MODULE, KFP_EXECUTOR_MODULE)):
        raise LocalRunError(
            f"step {step.task_name!r} runs a command of its image {step.image}: only Python components run on this machine. "
            "Run the pipeline on a cluster, or call the command from a Python component."
        )


def filled_in(step: Step) -> list[str]:
    """Return a step's command with the executor input filled in."""
    return [part.replace("{{$}}", json.dumps(step.executor_input)) for part in step.command]


def announce(step: Step, log: IO[str]) -> None:
    """Write the heading of a step's section to the log."""
    log.write(f"\n=== {step.task_name}\n")
    log.flush()


def step_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a step, including the variables it sets."""
    # KFP's lightweight components find "python3" through a shell.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **own}
