"""Run the command line in this process, as a shell would."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from evergreen.cli.main import main


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout.splitlines()[-1])


def evergreen(*arguments: str, folder: Path | None = None) -> Finished:
    """Run a command of the command line, in a folder where one is given."""
    before = Path.cwd()
    os.chdir(folder or before)
    try:
        return _run(arguments)
    finally:
        os.chdir(before)


def _run(arguments: tuple[str, ...]) -> Finished:
    stdout, stderr = io.StringIO(), io.StringIO()
    status: Any = 0
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), mock.patch.object(sys, "argv", ["evergreen", *arguments]):
        try:
            main()
        except SystemExit as end:
            status = end.code
    return Finished(int(status or 0), stdout.getvalue(), stderr.getvalue())
