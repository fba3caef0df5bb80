"""Wall time, CPU time and peak memory of drift detection beside its peers, on the same files in the same run.

Each contender is a process of its own, Parquet to verdict; Evidently gets a virtual environment of its own, made in the work
folder. ``drift.py`` beside this file prints the table.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS, CATEGORIES, BLOCK = 20, 10, 1_000_000
# Evidently, alibi-detect, SciPy: at most 1/N of their wall time, with both scans and with a stored profile.
BARS = {"evidently": (60, 150), "alibi": (8, 20), "scipy": (5, 12)}
MEGABYTES_BAR, CPU_BAR, TOGETHER_BAR = 350, 2.5, 5
LARGE_SECONDS_BAR, LARGE_MEMORY_BAR = 10, 1.2
TURNS = 3

READ = "import sys; import pyarrow.parquet as pq; r, c = (pq.read_table(p).to_pandas() for p in sys.argv[1:3])\n"
PEERS = {
    "scipy": READ
    + """
from scipy.stats import chi2_contingency, ks_2samp
import pandas as pd
for name in r.columns:
    if r[name].dtype == float:
        ks_2samp(r[name], c[name], method="asymp").pvalue
    else:
        chi2_contingency(pd.concat([r[name].value_counts(), c[name].value_counts()], axis=1).fillna(0)).pvalue
""",
    "alibi": READ
    + """
import numpy as np
from alibi_detect.cd import TabularDrift
texts = [i for i, n in enumerate(r.columns) if r[n].dtype != float]
for i in texts:
    known = {v: k for k, v in enumerate(sorted(set(r.iloc[:, i]) | set(c.iloc[:, i])))}
    for f in (r, c):
        f[f.columns[i]] = f[f.columns[i]].map(known).astype(float)
print(TabularDrift(r.to_numpy(), p_val=0.05, categories_per_feature={i: None for i in texts}).predict(c.to_numpy())["data"]["is_drift"])
""",
    "evidently": READ
    + """
from evidently import Report
from evidently.presets import DataDriftPreset
Report([DataDriftPreset()]).run(current_data=c, reference_data=r).dict()
""",
    "floor": """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
for path in sys.argv[1:3]:
    file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    texts = [f.name for f in file.schema_arrow if f.type == pa.string()]
    for batch in pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, read_dictionary=texts).iter_batches(batch_size=1 << 16):
        for column in batch.columns:
            if column.type == pa.float64():
                np.sort(np.frombuffer(column.buffers()[1], dtype=np.float64)[column.offset : column.offset + len(column)])
""",
}


@dataclass(frozen=True)
class Cost:
    """What a process took: wall and CPU seconds, and its peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def write_table(path: Path, rows: int, seed: int) -> None:
    """Write normal numbers and texts of eight values, a row group a million rows."""
    random = np.random.default_rng(seed)
    names = pa.array([f"value-{index}" for index in range(8)])
    writer = None
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        block: dict[str, pa.Array] = {f"x{index}": pa.array(random.normal(size=count)) for index in range(NUMBERS)}
        block |= {f"c{index}": names.take(pa.array(random.integers(0, 8, count))) for index in range(CATEGORIES)}
        table = pa.table(block)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def measure(command: list[str]) -> Cost:
    """Run a command to its end; its children's peak counts too, as the largest single one.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[:2]} ended with {process.returncode}: {output.read()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def peer_python(peer: str, folder: Path) -> str:
    """Return the interpreter of a peer; Evidently's environment is made on first use."""
    if peer != "evidently":
        return sys.executable
    python = folder / "evidently" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "evidently", "pandas<3", "pyarrow"], check=True)
    return str(python)


def show(what: str, figure: str, bar: str, met: bool) -> bool:
    """Print a line of the table and return whether its bar is met."""
    print(f"{what:<58} {figure:>22} {bar:>26}  {'met' if met else 'MISSED'}", flush=True)
    return met


def stored_profile(evergreen: list[str], reference: str, current: str, folder: Path) -> str:
    """Make the reference's profile once, as it is made when a model is trained."""
    profile = str(folder / f"{Path(reference).stem}.profile")
    measure([*evergreen, reference, current, "--detectors", "profile", "--save-profile", profile, "--json"])
    return profile


def best_of_three(command: list[str]) -> Cost:
    """Return the cheapest of three runs: the machine is shared."""
    return best_of_each({"": command}, {"": 1})[""]


def best_of_each(commands: dict[str, list[str]], runs_a_turn: dict[str, int]) -> dict[str, Cost]:
    """Return the cheapest run of each command; they take turns, so that all meet the same quiet and busy moments.

    Args:
        commands: The commands, by name.
        runs_a_turn: How often each runs in each of three turns; 0 is once in all.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(TURNS):
        for name, command in commands.items():
            costs[name] += [measure(command) for _ in range(runs_a_turn[name] or int(turn == 0))]
    return {name: min(found, key=lambda cost: cost.wall_s) for name, found in costs.items()}


def compare_speed(folder: Path, *, rows: int, peers: list[str]) -> list[bool]:
    """Print the figures at one size and return whether each bar is met."""
    reference, current = make_files(folder, rows)
    evergreen = [str(Path(sys.executable).parent / "evergreen"), "drift"]
    first_stage = ["--detectors", "profile", "--json"]
    measure([sys.executable, "-c", PEERS["floor"], reference, current])  # the files into the page cache
    floor = measure([sys.executable, "-c", PEERS["floor"], reference, current])
    profile = stored_profile(evergreen, reference, current, folder)
    commands = {"both scans": [*evergreen, reference, current, *first_stage], "stored profile": [*evergreen, profile, current, *first_stage]}
    commands |= {peer: [peer_python(peer, folder), "-c", PEERS[peer], reference, current] for peer in peers}
    # Evidently takes minutes, and its bar is far away.
    best = best_of_each(commands, {"both scans": 2, "stored profile": 2} | {peer: int(peer != "evidently") for peer in peers})
    ours = best["both scans"]
    print(f"{rows:,} + {rows:,} rows, {NUMBERS} numbers and {CATEGORIES} categories; floor {floor.wall_s:.2f} s, {floor.cpu_s:.2f} s CPU")
    met = [show("peak memory, both scans", f"{ours.peak_mb:.0f} MB", f"at most {MEGABYTES_BAR} MB", ours.peak_mb <= MEGABYTES_BAR)]
    ratio = ours.cpu_s / floor.cpu_s
    met.append(show("CPU against the floor, both scans", f"{ratio:.2f} x ({ours.cpu_s:.2f} s)", f"at most {CPU_BAR} x", ratio <= CPU_BAR))
    together = best_of_three([*evergreen, reference, current, "--detectors", "profile,classifier", "--json"])
    more = together.wall_s - ours.wall_s
    met.append(show("all features together, on top", f"{more:.1f} s", f"at most {TOGETHER_BAR} s", more <= TOGETHER_BAR))
    for peer in peers:
        theirs = best[peer]
        for what, bar in zip(("both scans", "stored profile"), BARS[peer], strict=True):
            cost = best[what]
            label = f"{what} {cost.wall_s:.2f} s, {peer} {theirs.wall_s:.1f} s and {theirs.peak_mb:,.0f} MB"
            met.append(show(label, f"1/{theirs.wall_s / cost.wall_s:.1f}", f"at most 1/{bar}", theirs.wall_s / cost.wall_s >= bar))
    return met


def compare_sizes(folder: Path, *, rows: int) -> list[bool]:
    """Print time and memory at ten times the rows."""
    evergreen = [str(Path(sys.executable).parent / "evergreen"), "drift"]
    small, large = (best_of_three([*evergreen, *make_files(folder, size), "--detectors", "profile", "--json"]) for size in (rows, 10 * rows))
    ratio = large.peak_mb / small.peak_mb
    return [
        show(f"{10 * rows:,} rows, both scans", f"{large.wall_s:.1f} s", f"at most {LARGE_SECONDS_BAR} s", large.wall_s <= LARGE_SECONDS_BAR),
        show(f"peak memory against {rows:,} rows", f"{ratio:.2f} x ({large.peak_mb:.0f} MB)", f"at most {LARGE_MEMORY_BAR} x", ratio <= LARGE_MEMORY_BAR),
    ]


def make_files(folder: Path, rows: int) -> tuple[str, str]:
    """Write a reference and a current file, unless they are there."""
    paths = folder / f"reference-{rows}.parquet", folder / f"current-{rows}.parquet"
    for path, seed in zip(paths, (1, 2), strict=True):
        if not path.exists():
            # In a process of its own: a child's peak memory is never reported below what its parent holds when it starts it.
            maker = multiprocessing.get_context("spawn").Process(target=write_table, args=(path, rows, seed))
            maker.start()
            maker.join()
    return str(paths[0]), str(paths[1])
