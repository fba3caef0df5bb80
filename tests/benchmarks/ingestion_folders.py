"""Memory and time of windowing a large CSV folder, and one of ten thousand small files.

Run it with ``python tests/benchmarks/ingestion_folders.py`` (about 6 GB of free disk; ``--csv-gb`` and ``--files`` make it smaller).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

MEMORY_BAR_MB = 600
ROWS_A_FILE = 200_000
START = datetime(2024, 1, 1, tzinfo=timezone.utc)

MEASURED = """
import sys, time, json, resource
from pathlib import Path
from evergreen.ingestion.windowing import ingest_window
source, target, days = sys.argv[1:]
started = time.perf_counter()
manifest = ingest_window(Path(target), source_uri=source, timestamp_column="time", window_days=int(days)).manifest
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - started, "rows": manifest.rows, "files": len(manifest.objects), "peak_mb": peak}))
"""


def write_csv_folder(folder: Path, bytes_wanted: int) -> int:
    """Write files of one day each until the folder is big enough; return its bytes."""
    random = np.random.default_rng(0)
    header = "time," + ",".join(f"number_{index}" for index in range(28)) + ",kind\n"
    numbers = random.normal(size=(ROWS_A_FILE, 28))
    # One file's rows are made once: what is measured reads them all the same.
    rows = [",".join(f"{value:.6f}" for value in line) + f",{kind}\n" for line, kind in zip(numbers, random.choice(["red", "blue"], ROWS_A_FILE), strict=True)]
    written, day = 0, 0
    while written < bytes_wanted:
        stamp = (START + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
        file = folder / f"{day:04d}.csv"
        file.write_text(header + "".join(f"{stamp},{row}" for row in rows))
        written, day = written + file.stat().st_size, day + 1
    return written


def write_small_files(folder: Path, files: int) -> None:
    """Write files of ten rows."""
    for index in range(files):
        stamp = (START + timedelta(minutes=index)).strftime("%Y-%m-%dT%H:%M:%SZ")
        (folder / f"{index:05d}.csv").write_text("time,x,y\n" + "".join(f"{stamp},{row},{index}\n" for row in range(10)))


def measure(source: Path, target: Path, days: int) -> dict[str, float]:
    """Ingest in a process of its own and return its seconds, rows, files and peak of resident memory."""
    result = subprocess.run([sys.executable, "-c", MEASURED, str(source), str(target), str(days)], check=True, capture_output=True, text=True)
    return {str(key): float(value) for key, value in json.loads(result.stdout).items()}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--csv-gb", type=float, default=5.0, help="size of the CSV folder")
    options.add_argument("--files", type=int, default=10_000, help="number of small files")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.mkdir()
        write_small_files(source, chosen.files)
        found = measure(source, Path(name) / "out", 30)
    print(f"{chosen.files:,} small files: {found['rows']:,.0f} rows in {found['seconds']:.1f} s, peak {found['peak_mb']:.0f} MB")  # what a benchmark is for
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.mkdir()
        written = write_csv_folder(source, int(chosen.csv_gb * 1e9))
        found = measure(source, Path(name) / "out", 10)
    print(
        f"{written / 1e9:.1f} GB of CSV: {found['rows']:,.0f} rows of {found['files']:.0f} files in the window, {found['seconds']:.0f} s, "
        f"peak memory {found['peak_mb']:.0f} MB (bar: {MEMORY_BAR_MB})"
    )


if __name__ == "__main__":
    main()
