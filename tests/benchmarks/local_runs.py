"""What a local run costs besides its work: a quiet day and a day with a retraining, against a plain script that calls the same functions.

`python tests/benchmarks/local_runs.py` plays them in turn, so that a busy machine is busy for all, and prints wall and processor seconds (medians,
and ratios of medians). The exit status is 1 when a quiet day takes more than 1.5 times as long as the script. With `--imports` it prints instead
what each forked step still imports by itself, which is what `evergreen/pipeline/preloads.py` is made from.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
PIPELINE = ROOT / "pipelines" / "continuous_retraining.py"
WEATHER = ROOT / "demo" / "weather.parquet"
PARAMETERS = {
    "data_timestamp_column": "observed_at",
    "data_target_column": "rain",
    "data_window_days": "365",
    "training_window_days": "1825",
    "model_name": "rain",
    "data_source_uri": str(WEATHER),
}
FIRST, QUIET, RETRAINING = "1954-01-01", "1966-01-01", "1984-01-01"
BAR = 1.5
EVERGREEN = str(Path(sys.executable).parent / "evergreen")


def run_command(home: Path, window_end: str, *options: str) -> list[str]:
    """Return the command of a local run."""
    assignments = [part for name, value in {**PARAMETERS, "data_window_end": window_end}.items() for part in ("-p", f"{name}={value}")]
    return [EVERGREEN, "run", str(PIPELINE), *assignments, "--home", str(home), "--json", *options]


def script_command(home: Path, window_end: str) -> list[str]:
    """Return the command of the plain script."""
    return [str(HERE / "quiet_day.py"), str(home), window_end, str(WEATHER)]


def play(command: list[str], expected: str) -> tuple[float, float]:
    """Run a command and return its wall and processor seconds, those of its children included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    finished = subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True, cwd=ROOT)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    last = finished.stdout.strip().splitlines()[-1:]
    decision = json.loads(last[0])["decision"] if last and last[0].startswith("{") else "".join(last)
    if finished.returncode or decision != expected:
        raise SystemExit(f"{' '.join(command)}: exit status {finished.returncode}, decision {decision!r}\n{finished.stdout}{finished.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(champion: Path, rounds: int, days: str) -> bool:
    """Print each turn on standard error and the table at the end; return whether the bar is kept."""
    ways = {
        "a quiet day: plain script": lambda home: (script_command(home, QUIET), "keep"),
        "a quiet day: evergreen run": lambda home: (run_command(home, QUIET), "keep"),
        "a quiet day: evergreen run --isolated": lambda home: (run_command(home, QUIET, "--isolated"), "keep"),
        "a retraining: evergreen run": lambda home: (run_command(home, RETRAINING), "retrain"),
        "a retraining: evergreen run --isolated": lambda home: (run_command(home, RETRAINING, "--isolated"), "retrain"),
    }
    ways = {name: way for name, way in ways.items() if days == "all" or days in name}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                home = Path(folder) / "home"
                shutil.copytree(champion, home)
                taken[name].append(play(*way(home)))
            print(f"{name:<42} {taken[name][-1][0]:8.1f} {taken[name][-1][1]:8.1f}", file=sys.stderr, flush=True)
    script = [median(column) for column in zip(*taken["a quiet day: plain script"], strict=True)]
    print(f"{'':<42} {'wall s':>8} {'CPU s':>8} {'wall ratio':>11} {'CPU ratio':>10}   (to the plain script, medians of {rounds})")
    ratio = 0.0
    for name, figures in taken.items():
        wall, processor = (median(column) for column in zip(*figures, strict=True))
        print(f"{name:<42} {wall:8.1f} {processor:8.1f} {wall / script[0]:11.2f} {processor / script[1]:10.2f}")
        ratio = wall / script[0] if name == "a quiet day: evergreen run" else ratio
    print(f"A quiet day takes {ratio:.2f} times the plain script; the bar is {BAR}.")
    return ratio <= BAR


def print_imports(home: Path) -> None:
    """Print what each step of a retraining still imports in its child."""
    folder = home / "imports"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(HERE), "EVERGREEN_IMPORTS_FOLDER": str(folder)}
    code = "import runpy, sys; from evergreen.pipeline import warm_steps; warm_steps.EXECUTOR_MODULE = 'imports_of_step'; del sys.argv[0]; "
    command = [sys.executable, "-c", f"{code}runpy.run_path(sys.argv[0], run_name='__main__')", *run_command(home, RETRAINING)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime):
        names = file.read_text().split()
        packages = Counter(name.partition(".")[0] for name in names).most_common()
        print(f"{file.name:<36} {len(names):4} modules: {', '.join(f'{package} {count}' for package, count in packages) or 'none'}")
        print("".join(f"    {name}\n" for name in names if name.startswith("evergreen.") or "." not in name), end="")


def main() -> int:
    """Make a champion, then measure; the exit status says whether the bar is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is played (default: 3)")
    parser.add_argument("--days", choices=["all", "quiet"], default="all", help="quiet leaves out the days with a retraining")
    parser.add_argument("--imports", action="store_true", help="print what forked steps still import")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        champion = Path(folder) / "champion"
        play(run_command(champion, FIRST), "retrain")
        if given.imports:
            print_imports(champion)
            return 0
        return 0 if measure(champion, given.rounds, given.days) else 1


if __name__ == "__main__":
    sys.exit(main())
