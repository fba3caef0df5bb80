"""The profile file format: a ZIP archive of ``profile.json`` and ``sample.parquet``; reading it runs no code.

``profile.json`` contains ``format`` ("evergreen-drift-profile"), ``version`` (1), ``rows``, ``left_out``, ``importances``,
``sample_rows`` (maximum number of sampled rows; defaults to 20,000), ``period`` (optional; first and last event time in seconds
since 1970), ``timestamp_column`` (optional; name of the event time column) and ``columns``: for numeric columns ``edges``,
``counts``, ``rows``, ``missing``, ``infinite``, ``mean``, ``squares``, ``minimum`` and ``maximum``; for categorical columns
``counts`` by name, ``rows``, ``missing`` and ``remainder``. Numbers are written so that they are read back exactly.
``correlations`` contains the rank correlations of the numeric columns in the sample as ``columns`` and ``matrix``, with null for
a constant column; if absent, they are measured again. ``sample.parquet`` contains the sampled rows, with their event times as
seconds since 1970 in ``__time__`` if the event time column is known; its last column ``__key__`` is the random number that each
row drew.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.arrow_values import float_values
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.profile.correlation import rank_correlations
from evergreen.drift.profile.table_profile import SAMPLE_ROWS, TIME_COLUMN, DatasetProfile, RowSample

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

FORMAT, VERSION = "evergreen-drift-profile", 1
KEY_COLUMN = "__key__"
FIRST_BYTES = b"PK\x03\x04"


def is_profile(path: str | Path) -> bool:
    """Return whether a file looks like a profile."""
    file = Path(path)
    return file.is_file() and file.open("rb").read(4) == FIRST_BYTES


def write_profile(profile: DatasetProfile, path: str | Path) -> None:
    """Write a profile to a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, keys = profile.sample.state()
    names, matrix = rank_correlations(profile)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "rows": profile.rows,
        "left_out": profile.left_out,
        "importances": profile.importances,
        "sample_rows": profile.sample.size,
        "period": profile.period,
        "timestamp_column": profile.timestamp_column if table is not None and TIME_COLUMN in table.column_names else "",
        "columns": {name: _column_json(counts) for name, counts in profile.columns.items()},
        "correlations": {"columns": names, "matrix": [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]},
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("profile.json", json.dumps(content))
        if table is not None:
            buffer = io.BytesIO()
            pq.write_table(table.append_column(KEY_COLUMN, pa.Array.from_buffers(pa.float64(), len(keys), [None, pa.py_buffer(keys)])), buffer)
            # Parquet is already compressed; compressing it again would make it slower to read than counting 100,000 rows.
            archive.writestr("sample.parquet", buffer.getvalue(), compress_type=zipfile.ZIP_STORED)


def read_profile(path: str | Path) -> DatasetProfile:
    """Read a profile from a file.

    Raises:
        DriftError: The file is truncated or damaged, is not a profile, or is from a newer version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read("profile.json"))
            _check_version(content, path)
            sample = pq.ParquetFile(io.BytesIO(archive.read("sample.parquet"))) if "sample.parquet" in archive.namelist() else None
            columns = {str(name): _column(values) for name, values in content["columns"].items()}
            rows, left_out, importances = int(content["rows"]), dict(content["left_out"]), dict(content["importances"])
            sample_rows = int(content.get("sample_rows", SAMPLE_ROWS))
            correlations = _correlations(content.get("correlations"))
            timestamp_column = str(content.get("timestamp_column", ""))
            period = (int(content["period"][0]), int(content["period"][1])) if content.get("period") else None
    except (zipfile.BadZipFile, pa.ArrowException, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    restored = RowSample(seed=0, size=sample_rows)
    if sample is not None:
        restored = RowSample.restored(sample.metadata.num_rows, partial(_sampled_rows, sample, path), sample_rows, correlations)
    return DatasetProfile(columns, left_out, rows, restored, importances, period, timestamp_column)


def _sampled_rows(sample: pq.ParquetFile, path: str | Path) -> tuple[pa.Table, NDArray[np.float64]]:
    import pyarrow as pa

    try:
        table = sample.read()
        return table.drop_columns([KEY_COLUMN]), float_values(table.column(KEY_COLUMN).combine_chunks())[0]
    except (pa.ArrowException, OSError, LookupError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> DriftError:
    return DriftError(f"profile {path}: is damaged or truncated: {error!r}. Recreate it from the reference data.")


def _check_version(content: Any, path: str | Path) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DriftError(f"profile {path}: is not a drift profile; expected a file written by `evergreen drift --save-profile` or detect_drift.")
    if content.get("version") != VERSION:
        raise DriftError(
            f"profile {path}: has version {content.get('version')!r}, but this Evergreen reads version {VERSION}. Upgrade Evergreen, or recreate the profile."
        )


def _correlations(values: dict[str, Any] | None) -> tuple[list[str], NDArray[np.float64]] | None:
    if values is None:
        return None
    names = [str(name) for name in values["columns"]]
    # None becomes NaN: a constant column has no correlations.
    matrix = np.array(values["matrix"], dtype=np.float64).reshape(len(names), len(names))
    return names, matrix


def _column_json(counts: NumberCounts | CategoryCounts) -> dict[str, Any]:
    if isinstance(counts, CategoryCounts):
        return {"kind": "category", **asdict(counts)}
    values = {**asdict(counts), "edges": counts.edges.tolist(), "counts": counts.counts.tolist()}
    # JSON has no infinity, which is the minimum and maximum of a column without finite values.
    return {"kind": "number", **{name: None if isinstance(value, float) and math.isinf(value) else value for name, value in values.items()}}


def _column(values: dict[str, Any]) -> NumberCounts | CategoryCounts:
    kind = values.pop("kind")
    if kind == "category":
        return CategoryCounts(**values)
    values["edges"] = np.array(values["edges"], dtype=np.float64)
    values["counts"] = np.array(values["counts"], dtype=np.int64)
    if len(values["counts"]) != len(values["edges"]) + 1:
        raise ValueError("a column's number of counts does not match its number of bins")
    values["minimum"] = math.inf if values["minimum"] is None else values["minimum"]
    values["maximum"] = -math.inf if values["maximum"] is None else values["maximum"]
    return NumberCounts(**values)
