"""Ends a forked step like an interpreter, except that the modules are not taken apart.

Taking apart the modules imported before the fork frees nothing that the system would not free anyway, and copies the memory shared with the parent
process: a third of a second for each step. Everything that can be noticed from outside the process is done: threads are joined, exit handlers run,
the step's own objects are destroyed, and open files are flushed.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import io
import os
import sys
import threading
from typing import NoReturn


def end_process(status: int) -> NoReturn:
    """End this process with an exit status."""
    # What the interpreter itself calls first, in this order.
    threading._shutdown()  # type: ignore[attr-defined]  # joins the threads that are not daemons
    atexit._run_exitfuncs()
    sys.modules["__main__"].__dict__.clear()
    gc.collect()
    _flush_files()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    # Libraries written in C print through buffers of their own.
    ctypes.CDLL(None).fflush(None)
    os._exit(status & 0xFF)


def _flush_files() -> None:
    """Flush files that modules of the step keep open. The parent process has none: its objects are frozen, and are not returned here."""
    for kind in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
        for file in gc.get_objects():
            if issubclass(type(file), kind):
                # A closed file raises ValueError; a file that cannot be written is ignored at exit by the interpreter, too.
                with contextlib.suppress(ValueError, OSError):
                    file.flush()
