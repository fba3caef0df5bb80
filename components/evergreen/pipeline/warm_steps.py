"""Runs local steps in child processes forked from a process with their modules already imported, instead of in fresh interpreters.

On a quiet day, a run spends most of its time on imports. A child forked from :mod:`evergreen.pipeline.fork_server` skips them and otherwise behaves like
a fresh interpreter: a separate process with the same environment, folder, standard streams and exit status. A step gets a fresh interpreter where this
is not guaranteed: on systems other than Linux, for components that are not Evergreen's, and if the step's environment differs from the one in which
the modules were imported, because a library may read it only at import time.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from evergreen.errors import EvergreenError
from evergreen.models.threads import wait_passively
from evergreen.pipeline.component import EXECUTOR_MODULE
from evergreen.pipeline.fork_server import SERVER_VARIABLES
from evergreen.pipeline.local_dag import LocalRunError, Step, ended
from evergreen.pipeline.local_steps import StepProcesses, announce, filled_in, step_environment
from evergreen.pipeline.preloads import needs_of

SERVER_MODULE = "evergreen.pipeline.fork_server"

READ_WHEN_USED = ("EVERGREEN_", "PYTEST_CURRENT_TEST")
"""Prefixes of variables that no module reads at import time, so a child can have its own values."""

LONGEST_COMMAND = 100_000
"""Bytes. Linux limits one argument to 131,072; whether a longer command can be started is only known by starting it."""

INTERRUPTED_WAIT_S = 0.25
"""How long a step interrupted together with this process may take to exit by itself, the same as in `subprocess.run`."""

LONGEST_COMPLAINT = 100_000
"""Maximum number of bytes read from the output of the fork server after it has exited."""

KILLED_WAIT_S = 30
"""How long a killed step may take to exit."""


class NotForkedError(EvergreenError):
    """A step cannot be forked, and has not started."""


class StepServer:
    """The process that steps are forked from, started on first use and restarted if the environment has changed.

    One server can serve several runs, sequentially or concurrently.
    """

    def __init__(self) -> None:
        """Create the server without starting the process."""
        # Call this before reading the environment, which must be the same for all steps.
        wait_passively()
        self._lock = threading.Lock()
        self._process: _ServerProcess | None = None

    def __enter__(self) -> StepServer:
        """Return the server."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self.close()

    def launch(self, log: IO[str]) -> Callable[[Step], int]:
        """Return a function that runs the steps of one run and writes their output to a log file."""
        return ForkedSteps(log, self)

    def preload(self, modules: list[str]) -> None:
        """Import modules one by one while no step is waiting to start, without blocking the caller.

        Args:
            modules: The modules in the order in which they are needed. If there are none, no process is started.
        """
        if not modules:
            return
        with self._lock, contextlib.suppress(NotForkedError):
            self._process_in(step_environment({})).preload(modules)

    def run(self, arguments: list[str], environment: Mapping[str, str], needs: list[str], log: IO[str]) -> int:
        """Run Evergreen's executor in a child, and return its exit status.

        Args:
            arguments: Arguments of the executor.
            environment: All environment variables of the step.
            needs: Modules that the step will import.
            log: Receives its output.

        Raises:
            NotForkedError: The step cannot be forked, and has not started.
            LocalRunError: The process it was forked from exited before the step.
        """
        with self._lock:
            process = self._process_in(environment)
            connection = process.connect(log)
        with connection:
            return process.run(connection, {"module": EXECUTOR_MODULE, "arguments": arguments, "environment": dict(environment), "needs": needs})

    def close(self) -> None:
        """End the process and the running steps."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None

    def _process_in(self, environment: Mapping[str, str]) -> _ServerProcess:
        """Return a process that imports its modules in the given environment."""
        if sys.platform != "linux":
            # On macOS, system libraries start threads that do not survive a fork.
            raise NotForkedError("steps are forked on Linux only")
        surroundings = _surroundings(environment)
        process = self._process
        if process is not None and process.serves(surroundings):
            return process
        if process is not None:
            if process.is_busy:
                raise NotForkedError("the process that steps are forked from has a different environment and running steps")
            process.close()
        self._process = _ServerProcess(environment, surroundings)
        return self._process


class _ServerProcess:
    """The client of one `fork_server` process."""

    def __init__(self, environment: Mapping[str, str], surroundings: object) -> None:
        self._surroundings = surroundings
        self._running: set[socket.socket] = set()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed together with the process
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter and a module of ours
                [sys.executable, "-m", SERVER_MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno()],
                env={**SERVER_VARIABLES, **environment, "_KFP_RUNTIME": "true"},
            )

    @property
    def is_busy(self) -> bool:
        """Whether its children are running steps."""
        return bool(self._running)

    def serves(self, surroundings: object) -> bool:
        """Return whether the process is running and imports its modules in these surroundings."""
        return self._surroundings == surroundings and self._process.poll() is None

    def preload(self, modules: list[str]) -> None:
        """Ask the process to import modules."""
        # If the process has exited, the next step detects it.
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps({"preload": modules}).encode())

    def connect(self, log: IO[str]) -> socket.socket:
        """Return a connection for one step, whose output goes to the log."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [json.dumps({"run": True}).encode()], [theirs.fileno(), log.fileno()])
            except OSError as error:
                ours.close()
                raise NotForkedError(self._end()) from error
        self._running.add(ours)
        return ours

    def run(self, connection: socket.socket, request: Mapping[str, Any]) -> int:
        """Run a step over its connection, and return its exit status."""
        try:
            with connection.makefile("rb") as answers:
                # If the other end is already gone, there will be no answer.
                with contextlib.suppress(ConnectionError):
                    connection.sendall(json.dumps(request).encode() + b"\n")
                begun, reason = _answer(answers)
                word, rest = _answer(answers) if begun == "started" else ("", "")
        except BaseException:
            _stop(connection)
            raise
        finally:
            self._running.discard(connection)
        if begun != "started":
            raise NotForkedError(reason or self._end())
        if word != "ended":
            raise LocalRunError(f"A step was lost: {self._end()}. Run the pipeline again; with --isolated, steps do not depend on another process.")
        return int(rest)

    def close(self) -> None:
        """End the process; running steps are killed with it."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _end(self) -> str:
        """Describe how the process exited."""
        status = self._process.wait()
        printed = [] if self._errors.closed else os.pread(self._errors.fileno(), LONGEST_COMPLAINT, 0).decode(errors="replace").strip().splitlines()
        last = f": {printed[-1]}" if printed else ""
        return f"the process that steps are forked from {ended(status)}{last}"


class ForkedSteps:
    """Runs the steps of one run: forked if possible, otherwise in fresh interpreters."""

    def __init__(self, log: IO[str], server: StepServer) -> None:
        """Store the server, and the file that receives the output of all steps."""
        self._log = log
        self._server = server
        self._fresh = StepProcesses(log)

    def __call__(self, step: Step) -> int:
        """Run a step and return its exit status.

        Raises:
            LocalRunError: The step cannot run on this machine, or was lost.
        """
        command = filled_in(step)
        environment = step_environment(step.environment)
        needs = needs_of(step.command)
        alike = _relevant(environment) == _relevant(step_environment({}))
        if needs is None or not alike or sum(len(os.fsencode(part)) for part in command) > LONGEST_COMMAND:
            return self._fresh(step)
        announce(step, self._log)
        try:
            return self._server.run(command[3:], environment, needs, self._log)
        except NotForkedError as error:
            self._log.write(f"(in a fresh interpreter: {error})\n")
            self._log.flush()
            return self._fresh.run(step)


def _answer(answers: IO[bytes]) -> tuple[str, str]:
    """Return the first word of an answer and the rest; two empty strings if the other end is gone."""
    try:
        word, _, rest = answers.readline().decode().strip().partition(" ")
    except ConnectionError:
        return "", ""
    return word, rest


def _stop(connection: socket.socket) -> None:
    """Give a step a moment to exit by itself, then kill it, and wait for it to exit."""
    # An error here must not hide the error that stopped the run.
    with contextlib.suppress(OSError):
        connection.settimeout(INTERRUPTED_WAIT_S)
        with contextlib.suppress(TimeoutError):
            connection.recv(1024)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(KILLED_WAIT_S)
        while connection.recv(1024):
            pass


def _surroundings(environment: Mapping[str, str]) -> object:
    """Return everything that affects imports in a process started now."""
    try:
        return _relevant(environment), Path.cwd()
    except OSError as error:
        raise NotForkedError(f"the working folder of this process no longer exists: {error.strerror}") from error


def _relevant(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_WHEN_USED)}
