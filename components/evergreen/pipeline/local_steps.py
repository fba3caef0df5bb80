"""Start a step of a pipeline as a process of its own on this machine."""

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
        """Remember the file that gets all that the steps print."""
        self._log = log

    def __call__(self, step: Step) -> int:
        """Run a step and return its exit status.

        Raises:
            LocalRunError: The step is no Python component: its command belongs into its image. Or it has more parameters than a command line holds.
        """
        check_python_component(step)
        announce(step, self._log)
        return self.run(step)

    def run(self, step: Step) -> int:
        """Run a step that is announced in the log already, and return its exit status.

        Raises:
            LocalRunError: It has more parameters than a command line holds.
        """
        command = [sys.executable if part == "python3" else part for part in filled_in(step)]
        try:
            finished = subprocess.run(  # noqa: S603  # what a step runs is what the pipeline file says
                command, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=step_environment(step.environment), check=False
            )
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            raise LocalRunError(
                f"step {step.task_name!r} gets {max(map(len, command)):,} characters of parameters: no command line holds so many, here or on a cluster. "
                "Put a long text into a file, and give its place."
            ) from error
        return finished.returncode


def check_python_component(step: Step) -> None:
    """Refuse a component that is not written in Python.

    Raises:
        LocalRunError: Its command is neither Evergreen's nor KFP's executor.
    """
    if not any(module in part for part in step.command for module in (EXECUTOR_MODULE, KFP_EXECUTOR_MODULE)):
        raise LocalRunError(
            f"step {step.task_name!r} runs a command of its image {step.image}: only Python components run on this machine. "
            "Run the pipeline on a cluster, or put the command into a Python component."
        )


def filled_in(step: Step) -> list[str]:
    """Return a step's command with the executor input in its place."""
    return [part.replace("{{$}}", json.dumps(step.executor_input)) for part in step.command]


def announce(step: Step, log: IO[str]) -> None:
    """Begin a step's part of the log."""
    log.write(f"\n=== {step.task_name}\n")
    log.flush()


def step_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a step that sets variables of its own."""
    # KFP's lightweight components look for "python3" themselves, through a shell.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **own}
