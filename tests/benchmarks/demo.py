"""What a newcomer waits for: seconds from a bare clone to the first outcome of `make demo`.

Clones the last commit of this repository into a temporary folder and runs `make demo` there, in an environment that the demo makes itself. pip's cache is
empty unless --warm-cache says otherwise: everything is downloaded. Prints one JSON object; exit status 1 when the demo failed or the first outcome took
longer than --at-most. Run with `python tests/benchmarks/demo.py`; it needs no package.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = "demo/run.py"
FIRST_OUTCOME = re.compile(r"\bstatus\b.*\bin [\d.]+ s: (\w+)")
"""What the table at the end of a run says; see `evergreen run`."""


def play(clone: Path, python: str | None, cache: Path | None) -> dict[str, object]:
    """Run `make demo` in a clone to its end, and return what was seen when."""
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL"}}
    environment["PYTHONUNBUFFERED"] = "1"
    if cache is not None:
        environment["PIP_CACHE_DIR"] = str(cache)
    command = ["make", "demo", *([f"PYTHON={python}"] if python else [])]
    seen: dict[str, object] = {"load_at_start": round(os.getloadavg()[0], 1)}
    started = time.monotonic()
    with subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            if INSTALLED in line:
                seen.setdefault("installed_s", round(time.monotonic() - started, 1))
            elif outcome := FIRST_OUTCOME.search(line):
                seen.setdefault("first_outcome", outcome[1])
                seen.setdefault("first_outcome_s", round(time.monotonic() - started, 1))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen |= {"all_runs_s": round(time.monotonic() - started, 1), "cpu_s": round(used.ru_utime + used.ru_stime, 1), "exit_status": process.returncode}
    return seen


def megabytes(folder: Path) -> int:
    """Return the size of the files below a folder."""
    return round(sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6)


def main() -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="the Python that makes the environment; the Makefile's choice when not given")
    parser.add_argument("--warm-cache", action="store_true", help="use the user's pip cache")
    parser.add_argument("--at-most", type=float, default=90, help="seconds to the first outcome")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evergreen-demo-") as folder:
        clone = Path(folder, "evergreen")
        subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)], check=True)
        seen = play(clone, given.python, None if given.warm_cache else Path(folder, "cache"))
        packages = len(list(clone.glob(".venv/lib/python*/site-packages/*.dist-info")))
        seen |= {"pip_cache": "the user's" if given.warm_cache else "empty", "packages": packages, "environment_mb": megabytes(clone / ".venv")}
    first = seen.get("first_outcome_s")
    print(json.dumps(seen | {"at_most_s": given.at_most}))
    return 0 if seen["exit_status"] == 0 and isinstance(first, float) and first <= given.at_most else 1


if __name__ == "__main__":
    sys.exit(main())
