"""Run `evergreen` commands and Python snippets without paying for their imports each time: children of a process that has imported what commands need.

A child is forked before any thread was started, and is a process of its own with its own working folder, output and exit status, as from a shell.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import TracebackType

PREPARED = (
    "kfp.compiler",
    "matplotlib.figure",
    "mlflow.pyfunc",
    "pandas",
    "pyarrow.parquet",
    "rich.console",
    "scipy.stats",
    "sklearn.ensemble",
    "evergreen.cli.main",
)


class PreparedCommands:
    """Starts commands as forked children of one prepared process."""

    def __init__(self, folder: Path) -> None:
        """Start the process.

        Args:
            folder: Working folder of every command.
        """
        self._output = folder / ".output"
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "100"}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> PreparedCommands:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        if kind is not None:
            self._process.kill()
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def run(self, program: str, arguments: list[str]) -> tuple[int, str]:
        """Run ``evergreen`` with arguments, or ``python`` with a text; return the exit status and what was printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(self._output), program, *arguments]) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return status, self._output.read_text(encoding="utf-8")


def _serve() -> None:
    for module in PREPARED:
        import_module(module)
    for line in sys.stdin:
        output, program, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_in_child(output, program, arguments))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _in_child(output: str, program: str, arguments: list[str]) -> int:
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(written, 1)
    os.dup2(written, 2)
    sys.argv = [program, *arguments]
    status = 0
    try:
        if program == "python":
            exec(compile(arguments[0], "snippet", "exec"), {"__name__": "__main__"})
        else:
            import_module("evergreen.cli.main").main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # the child has nobody to hand an error to but its exit status
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
