"""Time and memory of windowing a Parquet source, beside what pyarrow alone needs for the same rows.

Run it with ``python tests/benchmarks/ingestion.py`` (about 1 GB of free disk; ``--rows`` makes it smaller).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = 30
START = np.datetime64("2020-01-01", "us")
DAYS = 100
WINDOW_DAYS = 50
CHUNK_ROWS = 250_000
LARGE_ROWS, SMALL_ROWS = 10_000_000, 1_000_000
MEMORY_BAR_MB, RATIO_BAR, REPEATS = 600, 1.5, 5

EVERGREEN = f"""
from pathlib import Path
from evergreen.ingestion.windowing import ingest_window
rows = ingest_window(Path(target), source_uri=source, timestamp_column="time", window_end=end, window_days={WINDOW_DAYS}).manifest.rows
"""

PYARROW = f"""
import pyarrow.dataset as ds, pyarrow.parquet as pq
from datetime import datetime, timedelta
last = datetime.fromisoformat(end + "+00:00")
field = ds.field("time")
dataset = ds.dataset(source, format="parquet")
scanner = dataset.scanner(filter=(field >= last - timedelta(days={WINDOW_DAYS})) & (field < last))
rows = 0
with pq.ParquetWriter(target, dataset.schema, compression="zstd") as writer:
    for batch in scanner.to_batches():
        writer.write_batch(batch)
        rows += batch.num_rows
"""

MEASURED = """
import sys, time, json, resource
source, target, end = sys.argv[1:]
import pyarrow.dataset, pyarrow.parquet
import evergreen.ingestion.windowing
started = time.perf_counter()
{body}
print(json.dumps({{"seconds": time.perf_counter() - started, "rows": rows, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}}))
"""


def write_source(path: Path, rows: int) -> None:
    """Write events in the order of time: 22 numbers, 3 integers, 3 categories, a truth value and the event time."""
    random = np.random.default_rng(0)
    writer: pq.ParquetWriter | None = None
    step = np.timedelta64(DAYS * 86_400_000_000 // rows, "us")
    for first in range(0, rows, CHUNK_ROWS):
        count = min(CHUNK_ROWS, rows - first)
        columns = {"time": pa.array(START + step * np.arange(first, first + count), pa.timestamp("us", tz="UTC"))}
        columns |= {f"number_{index}": pa.array(random.normal(size=count)) for index in range(22)}
        columns |= {f"count_{index}": pa.array(random.integers(0, 1000, count)) for index in range(3)}
        columns |= {f"kind_{index}": pa.array(np.array(["red", "green", "blue", "grey"])[random.integers(0, 4, count)]) for index in range(3)}
        columns["label"] = pa.array(random.integers(0, 2, count).astype(bool))
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def measure(body: str, source: Path, target: Path) -> dict[str, float]:
    """Run code in a process of its own and return its seconds, rows and peak of resident memory."""
    end = str((START + np.timedelta64(80, "D")).astype("datetime64[s]"))
    code = MEASURED.format(body=body)
    result = subprocess.run([sys.executable, "-c", code, str(source), str(target), end], check=True, capture_output=True, text=True)
    return {str(key): float(value) for key, value in json.loads(result.stdout).items()}


def compare(folder: Path, rows: int, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the fastest run of each way, taken in turns so that a busy machine disturbs both."""
    source = folder / "source.parquet"
    write_source(source, rows)
    ours, bare = [], []
    for _ in range(repeats):
        bare.append(measure(PYARROW, source, folder / "bare.parquet"))
        ours.append(measure(EVERGREEN, source, folder / "ours.parquet"))
    if {run["rows"] for run in ours} != {run["rows"] for run in bare}:
        raise SystemExit("the two ways did not take the same rows")
    return min(ours, key=lambda run: run["seconds"]), min(bare, key=lambda run: run["seconds"])


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=LARGE_ROWS, help="rows of the large source")
    options.add_argument("--small-only", action="store_true", help="leave the large source out")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        ours, bare = compare(Path(name), SMALL_ROWS, REPEATS)
    ratio = ours["seconds"] / bare["seconds"]
    print(f"{SMALL_ROWS:,} rows x {COLUMNS} columns, {ours['rows']:,.0f} in the window; fastest of {REPEATS}")  # what a benchmark is for
    print(f"  evergreen {ours['seconds']:.2f} s, pyarrow alone {bare['seconds']:.2f} s: {ratio:.2f} times (bar: {RATIO_BAR})")
    if chosen.small_only:
        return
    with tempfile.TemporaryDirectory() as name:
        ours, bare = compare(Path(name), chosen.rows, 1)
    ratio = ours["seconds"] / bare["seconds"]
    print(f"{chosen.rows:,} rows x {COLUMNS} columns, {ours['rows']:,.0f} in the window")
    print(f"  peak memory: evergreen {ours['peak_mb']:.0f} MB (bar: {MEMORY_BAR_MB}), pyarrow alone {bare['peak_mb']:.0f} MB")
    print(f"  evergreen {ours['seconds']:.1f} s, pyarrow alone {bare['seconds']:.1f} s: {ratio:.2f} times")


if __name__ == "__main__":
    main()
