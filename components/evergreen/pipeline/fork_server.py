"""The process that steps of a local run are forked from: it has imported what they need, and runs none of it.

``python -m evergreen.pipeline.fork_server FD`` serves the process at the other end of the socket ``FD`` until that one closes it or ends.
:mod:`evergreen.pipeline.warm_steps` is the other end. Linux only.

A message on the socket is one packet of JSON. ``{"preload": [...]}`` names modules to import while there is nothing else to do. ``{"run": true}``
brings two descriptors: a connection for one step, and the file that gets what the step prints. The request itself comes over the connection, one
line of JSON; the answers are lines, too: ``refused REASON``, or ``started PID`` and later ``ended STATUS``. A closed connection kills its step.
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

PACKET_BYTES = 65536
"""More than any message on the control socket has."""

PARENT_DEATH_SIGNAL = 1
"""``PR_SET_PDEATHSIG`` of ``prctl(2)``."""

SERVER_VARIABLES = {"_KFP_RUNTIME": "true", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What this process has in its environment besides what steps have.

KFP's packages and our components are imported as a running step imports them. Arrow's allocator would start a thread as it is loaded.
"""


@dataclass(frozen=True)
class StepRequest:
    """What is needed to run one step.

    Attributes:
        module: What ``python -m`` would run.
        arguments: Its arguments.
        environment: All variables of the step.
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
        # A child's end has to wake the loop. What is written into the pipe does not matter.
        self._woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waker = waker
        # At the terminal, Ctrl-C reaches every process: it is the steps' business, and the other end's.
        self._on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def serve(self) -> StepRequest | None:
        """Serve until the other end is gone.

        Returns:
            None when there is nothing left to do; and in each forked child the request that it is to run.
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
        """Fork a child for the request that a connection brings; return the request in the child."""
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
        # What is imported is no garbage; and a child that looks through it would copy all of it.
        gc.freeze()
        # Until the child has its own handlers, it would ignore an interrupt as this process does.
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
        """Make this new child what a fresh interpreter would be."""
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
        """Kill the steps that nobody waits for any more; their connections stay open until they have ended, so that the other end can wait for that."""
        for pid, connection in self._steps.items():
            if connection in ready:
                self._unwanted.add(pid)
                _kill(pid)

    def _reap(self) -> None:
        """Report the steps that have ended."""
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
    """Run a step in the place of a fresh interpreter; ends as that one would, with SystemExit or whatever the step raises."""
    sys.argv = [request.module, *request.arguments]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    # A module of its own, whose names are gone at the end like those of any main module: files that are still open are then written.
    sys.modules["__main__"] = types.ModuleType("__main__")
    runpy._run_module_as_main(request.module)  # type: ignore[attr-defined]  # what the interpreter itself calls for -m; run_module() leaves its names to chance


def _import(name: str) -> None:
    """Import a module; one that cannot be imported is the step's business, which will say why in its own log."""
    with contextlib.suppress(Exception):
        importlib.import_module(name)


def _other_threads() -> list[str]:
    """Return the names of this process's threads besides this one, which a fork would cut off in the middle of what they do.

    OpenBLAS ends its threads when a process forks, and starts them again when they are needed: a fork that does nothing makes it do so beforehand.
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
        # One may end meanwhile.
        with contextlib.suppress(OSError):
            if thread.name != own:
                names.append((thread / "comm").read_text().strip())
    return names


def _seed_anew() -> None:
    """Give this child random numbers of its own; Python's are seeded by Python after a fork, NumPy's are not."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _tell(connection: socket.socket, line: str) -> None:
    # Whoever asked may be gone.
    with contextlib.suppress(OSError):
        connection.sendall(f"{line}\n".encode())


def main() -> None:
    """Serve; in a forked child, run the step."""
    # Modules are no garbage.
    gc.disable()
    request = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    if request is None:
        # Nothing that the modules would do at the end is wanted: no step has run here.
        os._exit(0)
    run_step(request)


if __name__ == "__main__":
    main()
