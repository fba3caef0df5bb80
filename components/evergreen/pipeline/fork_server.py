"""The process that local steps are forked from: it imports their modules but runs none of their code.

``python -m evergreen.pipeline.fork_server FD`` serves the process at the other end of the socket ``FD`` until that process closes it or exits.
:mod:`evergreen.pipeline.warm_steps` is the other end. Linux only.

Each message on the socket is one JSON packet. ``{"preload": [...]}`` lists modules to import while idle. ``{"run": true}`` comes with two file
descriptors: a connection for one step, and the file that receives the step's output. The request itself is one line of JSON sent over the connection;
the answers are lines, too: ``refused REASON``, or ``started PID`` and later ``ended STATUS``. Closing the connection kills the step.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.pipeline.step_end import end_process

PACKET_BYTES = 65536
"""Larger than any message on the control socket."""

PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of ``prctl(2)``."""

SERVER_VARIABLES = {"_KFP_RUNTIME": "true", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Environment variables of this process in addition to those of the steps.

They make KFP and Evergreen's components import as in a running step, and keep Arrow's allocator from starting a thread when it is loaded.
"""


@dataclass(frozen=True)
class StepRequest:
    """A request to run one step.

    Attributes:
        module: The module that ``python -m`` would run.
        arguments: Its arguments.
        environment: All environment variables of the step.
        needs: Modules that the step will import.
    """

    module: str
    arguments: list[str]
    environment: dict[str, str]
    needs: list[str]


class ForkServer:
    """Imports modules, and forks a child for each request."""

    def __init__(self, control: socket.socket) -> None:
        """Serve the process at the other end of a socket."""
        self._control = control
        self._preloads: list[str] = []
        self._steps: dict[int, socket.socket] = {}
        self._unwanted: set[int] = set()
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        # The exit of a child must wake the loop. The content of the pipe does not matter.
        self._woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waker = waker
        # In a terminal, Ctrl-C reaches every process: the steps and the other end handle it.
        self._on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> StepRequest | None:
        """Serve until the other end is gone.

        Returns:
            None when there is nothing left to do; in each forked child, the request that it must run.
        """
        while True:
            watched: list[Any] = [self._control, self._woken, *(connection for pid, connection in self._steps.items() if pid not in self._unwanted)]
            ready, _, _ = select.select(watched, [], [], 0 if self._preloads else None)
            if self._woken in ready:
                self._reap()
            self._kill_unwanted(ready)
            if self._control in ready:
                request, gone = self._take_message()
                if request is not None:
                    return request
                if gone:
                    self._end_steps()
                    return None
            elif self._preloads:
                _import(self._preloads.pop(0))

    def _take_message(self) -> tuple[StepRequest | None, bool]:
        """Handle one message; return a request in a forked child, and whether the other end is gone."""
        packet, descriptors, _, _ = socket.recv_fds(self._control, PACKET_BYTES, 2)
        if not packet:
            return None, True
        message = json.loads(packet)
        if "preload" in message:
            self._preloads += message["preload"]
            return None, False
        connection, output = socket.socket(fileno=descriptors[0]), descriptors[1]
        try:
            return self._start(connection, output), False
        finally:
            os.close(output)

    def _start(self, connection: socket.socket, output: int) -> StepRequest | None:
        """Fork a child for the request received over a connection; return the request in the child."""
        with connection.makefile("rb") as lines:
            line = lines.readline()
        if not line.endswith(b"\n"):
            connection.close()
            return None
        request = StepRequest(**json.loads(line))
        for name in request.needs:
            _import(name)
        if threads := _other_threads():
            _tell(connection, f"refused the process that steps are forked from has threads: {', '.join(threads)}")
            connection.close()
            return None
        # Imported modules are never garbage, and a child's garbage collector would copy their memory by scanning it.
        gc.freeze()
        # Until the child has installed its own handlers, it would ignore interrupts, as this process does.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_step(request, output, connection, server)
            return request
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        self._steps[pid] = connection
        _tell(connection, f"started {pid}")
        return None

    def _become_step(self, request: StepRequest, output: int, connection: socket.socket, server: int) -> None:
        """Make this new child behave like a fresh interpreter."""
        self._prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self._on_interrupt)
        for held in (connection, *self._steps.values(), self._control):
            held.close()
        os.close(self._woken)
        os.close(self._waker)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(request.environment)
        importlib.invalidate_caches()
        _seed_anew()
        gc.enable()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

    def _kill_unwanted(self, ready: list[Any]) -> None:
        """Kill the steps that nobody waits for any more; their connections stay open until they exit, so that the other end can wait for it."""
        for pid, connection in self._steps.items():
            if connection in ready:
                self._unwanted.add(pid)
                _kill(pid)

    def _reap(self) -> None:
        """Report the steps that have exited."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._woken, 1024):
                pass
        for pid in list(self._steps):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._report_end(pid, status)

    def _report_end(self, pid: int, status: int) -> None:
        connection = self._steps.pop(pid)
        self._unwanted.discard(pid)
        _tell(connection, f"ended {os.waitstatus_to_exitcode(status)}")
        connection.close()

    def _end_steps(self) -> None:
        for pid in list(self._steps):
            _kill(pid)
            self._report_end(pid, os.waitpid(pid, 0)[1])


def run_step(request: StepRequest) -> None:
    """Run a step like a fresh interpreter would; raises SystemExit or the exception that the step raises."""
    sys.argv = [request.module, *request.arguments]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    # Use a new main module, whose names are cleared at exit like those of any main module, which flushes files that are still open.
    sys.modules["__main__"] = types.ModuleType("__main__")
    runpy._run_module_as_main(request.module)  # type: ignore[attr-defined]  # what the interpreter itself calls for -m; run_module() may keep names


def _import(name: str) -> None:
    """Import a module. Errors are ignored, because the step will report them in its own log."""
    with contextlib.suppress(Exception):
        importlib.import_module(name)


def _other_threads() -> list[str]:
    """Return the names of this process's other threads, which a fork would stop in the middle of their work.

    OpenBLAS stops its threads when a process forks and restarts them on demand, so an empty fork makes it stop them beforehand.
    """
    if len(_thread_names()) > 0:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return _thread_names()


def _thread_names() -> list[str]:
    own = str(os.getpid())
    names = []
    for thread in Path("/proc/self/task").iterdir():
        # A thread may exit in the meantime.
        with contextlib.suppress(OSError):
            if thread.name != own:
                names.append((thread / "comm").read_text().strip())
    return names


def _seed_anew() -> None:
    """Give this child its own random numbers; after a fork, Python reseeds its generator, but NumPy does not."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _tell(connection: socket.socket, line: str) -> None:
    # The other end may be gone.
    with contextlib.suppress(OSError):
        connection.sendall(f"{line}\n".encode())


def main() -> None:
    """Serve; in a forked child, run the step."""
    # Modules are never garbage.
    gc.disable()
    request = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    if request is None:
        # Skip the modules' exit handlers, because no step has run in this process.
        os._exit(0)
    status = 0
    try:
        run_step(request)
    except SystemExit as end:
        code: object = end.code
        # The interpreter prints anything that is not a number.
        if code is not None and not isinstance(code, int):
            raise
        status = code or 0
    end_process(status)


if __name__ == "__main__":
    main()
