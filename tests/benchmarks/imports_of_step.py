"""Runs a step as Evergreen's executor does, and writes which modules it imported that were not there when it was forked; see `local_runs.py`."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    before = set(sys.modules)
    try:
        runpy.run_module("evergreen.pipeline.executor", run_name="__main__", alter_sys=True)
    finally:
        imported = [name for name in sys.modules if name not in before]
        (Path(os.environ["EVERGREEN_IMPORTS_FOLDER"]) / sys.argv[1]).write_text("\n".join(imported))
