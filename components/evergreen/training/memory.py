"""Reads rows only if there is enough memory, to give a clear message instead of a killed process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import open_table
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow
    import pyarrow.dataset

COPIES = 4
"""Copies of the rows in memory: as read, in time order, as prepared features, and as the estimator's own matrix."""

FIRST_ROWS = 2_000
LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
USAGE_FILES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def read_within_memory(path: str | Path, *, sample_rows: int | None, seed: int, available_bytes: int | None = None) -> pd.DataFrame:
    """Read a dataset, or a random sample of it, after checking that the rows fit into memory.

    Args:
        path: The dataset, a file or a folder.
        sample_rows: Maximum number of rows to read; None for all.
        seed: Random seed for the sample.
        available_bytes: Memory that may be used; None to detect it.

    Raises:
        TrainingError: The rows need more memory than available; the message says how many would fit.
        ArtifactError: The dataset cannot be read.
    """
    import pandas as pd

    table = open_table(path)
    rows = table.count_rows()
    wanted = rows if sample_rows is None else min(rows, sample_rows)
    each = _bytes_a_row(table)
    free = memory_available() if available_bytes is None else available_bytes
    if free is not None and wanted * each * COPIES > free:
        fitting = int(free / (each * COPIES))
        raise TrainingError(
            f"training data {path}: {wanted:,} rows need about {wanted * each * COPIES / 2**20:,.0f} MB, but only {free / 2**20:,.0f} MB are free. "
            f"Set training.sample_rows in policy_config to at most {fitting:,}, shorten training_window_days, or give the step more memory."
        )
    read = table.to_table() if wanted == rows else table.take(sample_positions(rows, wanted, seed))
    frame: pd.DataFrame = read.to_pandas()
    # Drop an index stored with the rows; reset_index would copy all of them.
    frame.index = pd.RangeIndex(len(frame))
    return frame


def sample_positions(rows: int, wanted: int, seed: int) -> np.ndarray[Any, Any]:
    """Return the positions of a random sample of rows, in order.

    Args:
        rows: Number of rows.
        wanted: Size of the sample, at most ``rows``.
        seed: Random seed for the sample.
    """
    import numpy as np

    chosen: np.ndarray[Any, Any] = np.sort(np.random.default_rng(seed).choice(rows, wanted, replace=False))
    return chosen


def _bytes_a_row(table: pyarrow.dataset.Dataset) -> float:
    """Return the bytes per row in pandas: the width of numbers and times, and the measured size of the first rows for anything else."""
    fixed = {field.name: field.type.bit_width / 8 for field in table.schema if _is_fixed(field.type)}
    looked_at = [name for name in table.schema.names if name not in fixed]
    head = table.head(FIRST_ROWS, columns=looked_at).to_pandas() if looked_at else None
    measured = 0.0 if head is None or head.empty else float(head.memory_usage(deep=True, index=False).sum() / len(head))
    return measured + float(sum(fixed.values()))


def _is_fixed(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_timestamp(kind))


def memory_available() -> int | None:
    """Return the bytes that this process may still use: those of the machine, or of the container if fewer; None if unknown."""
    found = []
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        # Not Linux.
        pass
    found.extend(left for limit, usage in zip(LIMIT_FILES, USAGE_FILES, strict=True) if (left := _left(limit, usage)) is not None)
    return max(0, min(found)) if found else None


def _left(limit: str, usage: str) -> int | None:
    try:
        return int(Path(limit).read_text(encoding="ascii")) - int(Path(usage).read_text(encoding="ascii"))
    except (OSError, ValueError):
        # No such controller, or no limit ("max").
        return None
