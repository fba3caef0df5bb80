"""Run steps of a local run in children of a process that has imported what they need, instead of in fresh interpreters.

Imports are most of what a quiet day costs. A child that is forked from :mod:`evergreen.pipeline.fork_server` finds them done, and is otherwise what a
fresh interpreter would be: a process of its own with the same environment, folder, standard streams and exit status. A step gets a fresh interpreter
where that is not sure: on another system than Linux, for a component that is not Evergreen's, and when the step's environment differs from that in
which the modules were imported, since a library may read it only then.
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
"""How the names of variables begin that nothing reads while it is imported: a child gets its own values of them."""

LONGEST_COMMAND = 100_000
"""Bytes. Linux takes 131,072 in one argument; whether a longer command can be started, only starting it tells."""

INTERRUPTED_WAIT_S = 0.25
"""How long a step that was interrupted together with this process may take to end by itself, as `subprocess.run` has it."""

LONGEST_COMPLAINT = 100_000
"""Bytes of what the process that steps are forked from has printed that are looked at when it has ended."""

KILLED_WAIT_S = 30
"""How long a step that was killed may take to end."""


class NotForkedError(EvergreenError):
    """A step cannot be forked, and has not begun."""


class StepServer:
    """The process that steps are forked from; started when it is first needed, and anew when the environment has changed since.

    One can serve several runs, one after the other or at the same time.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        # Before the environment is looked at: it has to be the same for all steps.
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
        """Return what runs the steps of one run, given the file that gets all that they print."""
        return ForkedSteps(log, self)

    def preload(self, modules: list[str]) -> None:
        """Have modules imported, one after the other, while no step is to be started; does not wait for it.

        Args:
            modules: The modules, those that are needed first in front. For none, no process is started.
        """
        if not modules:
            return
        with self._lock, contextlib.suppress(NotForkedError):
            self._process_in(step_environment({})).preload(modules)

    def run(self, arguments: list[str], environment: Mapping[str, str], needs: list[str], log: IO[str]) -> int:
        """Run Evergreen's executor in a child, and return its exit status.

        Args:
            arguments: What the executor gets.
            environment: All variables of the step.
            needs: Modules that the step will import.
            log: Gets what it prints.

        Raises:
            NotForkedError: It cannot be forked, and has not begun.
            LocalRunError: The process that it was forked from ended before it.
        """
        with self._lock:
            process = self._process_in(environment)
            connection = process.connect(log)
        with connection:
            return process.run(connection, {"module": EXECUTOR_MODULE, "arguments": arguments, "environment": dict(environment), "needs": needs})

    def close(self) -> None:
        """End the process, and the steps that still run."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None

    def _process_in(self, environment: Mapping[str, str]) -> _ServerProcess:
        """Return a process that imports its modules in such an environment."""
        if sys.platform != "linux":
            # On macOS, system libraries start threads that do not survive a fork.
            raise NotForkedError("steps are forked on Linux only")
        surroundings = _surroundings(environment)
        process = self._process
        if process is not None and process.serves(surroundings):
            return process
        if process is not None:
            if process.is_busy:
                raise NotForkedError("the process that steps are forked from has another environment, and steps that still run")
            process.close()
        self._process = _ServerProcess(environment, surroundings)
        return self._process


class _ServerProcess:
    """One process of `fork_server`, seen from here."""

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
        """Whether steps run in its children."""
        return bool(self._running)

    def serves(self, surroundings: object) -> bool:
        """Return whether it is there, and imports its modules in these surroundings."""
        return self._surroundings == surroundings and self._process.poll() is None

    def preload(self, modules: list[str]) -> None:
        """Have modules imported."""
        # Where it has ended, the step finds out.
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps({"preload": modules}).encode())

    def connect(self, log: IO[str]) -> socket.socket:
        """Return a connection for one step, which prints into the log."""
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
                # Where the other end is gone already, there will be no answer.
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
        """End the process; steps that still run are killed with it."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _end(self) -> str:
        """Say how the process has ended."""
        status = self._process.wait()
        printed = [] if self._errors.closed else os.pread(self._errors.fileno(), LONGEST_COMPLAINT, 0).decode(errors="replace").strip().splitlines()
        last = f": {printed[-1]}" if printed else ""
        return f"the process that steps are forked from {ended(status)}{last}"


class ForkedSteps:
    """Runs the steps of one run: forked where they can be, else as processes with an interpreter of their own."""

    def __init__(self, log: IO[str], server: StepServer) -> None:
        """Remember where steps are forked, and the file that gets all that they print."""
        self._log = log
        self._server = server
        self._fresh = StepProcesses(log)

    def __call__(self, step: Step) -> int:
        """Run a step and return its exit status.

        Raises:
            LocalRunError: The step cannot be run on this machine, or was lost.
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
    """Return the first word of an answer and the rest; two empty texts when the other end is gone."""
    try:
        word, _, rest = answers.readline().decode().strip().partition(" ")
    except ConnectionError:
        return "", ""
    return word, rest


def _stop(connection: socket.socket) -> None:
    """Give a step a moment to end by itself, then have it killed, and wait until it has ended."""
    # Whatever goes wrong here must not hide what has stopped the run.
    with contextlib.suppress(OSError):
        connection.settimeout(INTERRUPTED_WAIT_S)
        with contextlib.suppress(TimeoutError):
            connection.recv(1024)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(KILLED_WAIT_S)
        while connection.recv(1024):
            pass


def _surroundings(environment: Mapping[str, str]) -> object:
    """Return all that decides what an import in a process that starts now comes to."""
    try:
        return _relevant(environment), Path.cwd()
    except OSError as error:
        raise NotForkedError(f"this process's working folder is gone: {error.strerror}") from error


def _relevant(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_WHEN_USED)}
