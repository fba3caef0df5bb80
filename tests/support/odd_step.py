"""A step that behaves as it is told to, in the place of Evergreen's executor: ``python -m odd_step BEHAVIOUR [ARGUMENT]``."""
# ruff: noqa: T201  # what a step prints is what the tests look at

from __future__ import annotations

import ast
import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

KEPT = []


def tell(_: str) -> None:
    """Print all of a process that a step could notice."""
    told = {
        "module": sys.modules["__main__"].__spec__.name,
        "arguments": sys.argv,
        "path": sys.path,
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "input": sys.stdin.read(),
        "terminal": [sys.stdout.isatty(), sys.stderr.isatty()],
        "streams": [sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout.encoding, sys.stdout.errors],
        "descriptors": sorted(str(path) for path in Path("/proc/self/fd").iterdir() if path.exists()),
        "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGCHLD", "SIGPIPE")},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "threads": [threading.current_thread() is threading.main_thread(), threading.active_count(), len(list(Path("/proc/self/task").iterdir()))],
        "group": [os.getpgid(0), os.getsid(0)],
    }
    print(json.dumps(told, sort_keys=True))


def fail(text: str) -> None:
    raise ValueError(text)


def exit_with(code: str) -> None:
    print("last words", end="")
    sys.exit(ast.literal_eval(code))


def interrupt(_: str) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def exit_at_once(_: str) -> None:
    print("lost, since nobody flushes it", end="")
    os._exit(3)


def kill(number: str) -> None:
    os.kill(os.getpid(), int(number))


def print_lines(_: str) -> None:
    print("half a line", end="", flush=True)
    print("errors", file=sys.stderr, end="")
    os.write(1, b" past Python")
    print(" the other half", end="")


def change(_: str) -> None:
    os.chdir("/")
    os.environ["LEFT_BEHIND"] = "yes"
    sys.path.insert(0, "/left/behind")
    os.umask(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def leave_thread(_: str) -> None:
    threading.Thread(target=lambda: (time.sleep(0.3), print("the thread has ended"))).start()
    atexit.register(print, "at exit")


def leave_file_open(path: str) -> None:
    KEPT.append(open(path, "w"))  # noqa: SIM115, PTH123  # neither flushed nor closed
    KEPT[0].write("written")


def leave_file_open_elsewhere(path: str) -> None:
    json.kept = open(path, "w")  # noqa: SIM115, PTH123  # kept by a module that was imported before the step
    json.kept.write("written")


def leave_bytes_open(path: str) -> None:
    json.kept = open(path, "wb")  # noqa: SIM115, PTH123  # a file of bytes has another buffer
    json.kept.write(b"written")


def leave_folder(path: str) -> None:
    import tempfile

    json.kept = tempfile.TemporaryDirectory(dir=Path(path).parent)
    Path(path).write_text(json.kept.name)


def leave_cycle(_: str) -> None:
    class Told:
        def __del__(self) -> None:
            print("destroyed")

    one = Told()
    one.itself = one
    KEPT.append(Told())


def say_when_taken_apart(_: str) -> None:
    class Told:
        def __del__(self, say: Any = os.write) -> None:
            say(1, b"taken apart\n")

    json.kept = Told()


def print_in_c(_: str) -> None:
    import ctypes

    ctypes.CDLL(None).printf(b"in a buffer of the C library")


def leave_child(_: str) -> None:
    print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid)


def meet(files: str) -> None:
    """Make one file, and wait until somebody makes the other one."""
    own, other = files.split(":")
    Path(own).touch()
    deadline = time.monotonic() + 20
    while not Path(other).exists():
        if time.monotonic() > deadline:
            sys.exit("nobody came")
        time.sleep(0.02)


def sleep(pid_file: str) -> None:
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(60)


def compute(_: str) -> None:
    import numpy as np
    from threadpoolctl import threadpool_info

    matrix = np.random.default_rng(0).normal(size=(400, 400))
    print([library["num_threads"] for library in threadpool_info()], float((matrix @ matrix).sum()))


def draw(_: str) -> None:
    import random

    import numpy as np

    print(random.random(), np.random.random())  # noqa: NPY002  # the state that all of a process shares


def read_at_import(_: str) -> None:
    import reads_environment

    print(reads_environment.VALUE)


if __name__ == "__main__":
    chosen = sys.argv[1]
    {"exit": sys.exit, **globals()}[chosen](sys.argv[2] if len(sys.argv) > 2 else "")
