"""Profiles a dataset in one streamed pass, using only NumPy and PyArrow."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from evergreen.data.arrow_values import category_counts, float_values
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.profile.columns import matched_kinds, profiled_columns
from evergreen.drift.profile.edges import choose_edges
from evergreen.drift.profile.season import bounds, has_times, seconds
from evergreen.drift.profile.table_profile import SAMPLE_ROWS, TIME_COLUMN, DatasetProfile, RowSample

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from concurrent.futures import Future

    import pyarrow as pa
    from numpy.typing import NDArray

    from evergreen.drift.profile.batches import PlacedBatch, TableFiles
    from evergreen.drift.profile.columns import Kind

THREADS = 2
"""Sorting releases the GIL; more threads help only if no other process uses the cores."""
BATCHES_AHEAD = 2
"""Maximum number of batches waiting to be counted; with one, the reader and a fast thread would wait for the slow one at every batch."""


def plan_profile(source: TableFiles, *, ignored_columns: Collection[str] = (), seed: int = 0) -> DatasetProfile:
    """Return an empty profile with edges that fit a reference.

    Args:
        source: The reference, or the first of its shards.
        ignored_columns: Columns not to profile, such as the label, the event time and keys.
        seed: Seed of the random sample.

    Raises:
        DriftError: The source cannot be read.
    """
    kinds, left_out = profiled_columns(source.schema, ignored_columns=ignored_columns)
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    probed: dict[str, list[NDArray[np.float64]]] = {name: [] for name in numbers}
    for batch in source.probe(numbers) if numbers else ():
        for name in numbers:
            probed[name].append(float_values(batch.column(batch.schema.get_field_index(name)))[0])
    columns: dict[str, NumberCounts | CategoryCounts] = {}
    for name, kind in kinds.items():
        if kind == "number":
            columns[name] = NumberCounts(choose_edges(np.concatenate(probed[name]) if probed[name] else np.zeros(0)))
        else:
            columns[name] = CategoryCounts()
    return DatasetProfile(columns, left_out, sample=RowSample(seed))


def empty_like(
    reference: DatasetProfile, schema: pa.Schema, *, seed: int, sample_rows: int = SAMPLE_ROWS, ignored_columns: Collection[str] = ()
) -> DatasetProfile:
    """Return an empty profile with a reference's edges, for current data or for another shard.

    Args:
        reference: The profile to compare or merge with.
        schema: The other data's schema.
        seed: Seed of the random sample.
        sample_rows: Maximum number of rows of the random sample.
        ignored_columns: Columns whose absence from the reference needs no explanation.

    Raises:
        DriftError: A column is missing from the other data, or holds another kind of values.
    """
    matched = matched_kinds({name: kind_of_counts(counts) for name, counts in reference.columns.items()}, schema)
    columns: dict[str, NumberCounts | CategoryCounts] = {}
    for name, counts in reference.columns.items():
        if isinstance(counts, NumberCounts):
            columns[name] = NumberCounts(counts.edges)
        else:
            columns[name] = NumberCounts(np.zeros(0)) if matched[name] == "number" else CategoryCounts()
    known = {*reference.columns, *reference.left_out, *ignored_columns}
    unknown = {name: "not in the reference, so the champion does not use it" for name in schema.names if name not in known}
    return DatasetProfile(columns, unknown, sample=RowSample(seed, sample_rows))


def kind_of_counts(counts: NumberCounts | CategoryCounts) -> Kind:
    """Return the kind of a counted column; a column without values takes the kind of the other side."""
    return "number" if isinstance(counts, NumberCounts) else "category" if counts.values else "empty"


def fill(profile: DatasetProfile, batches: Iterable[PlacedBatch]) -> DatasetProfile:
    """Add all rows of a stream of batches to a profile.

    Args:
        profile: An empty profile, or one to continue.
        batches: Batches with the profile's columns, in any order.

    Returns:
        The same profile.

    Raises:
        DriftError: A column holds values of another kind.
    """
    # One task per thread, because submitting a task per column would cost more than counting some columns. Each thread keeps
    # its columns, so that moments are merged in row order regardless of the other thread's progress.
    shares = [list(profile.columns)[start::THREADS] for start in range(THREADS)]
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in shares]
        waiting: deque[list[Future[None]]] = deque()
        for place, batch in batches:
            # Limits memory to this many batches plus the one being read.
            if len(waiting) == BATCHES_AHEAD:
                _finish(waiting.popleft())
            waiting.append([pool.submit(_count_columns, profile, batch, names) for pool, names in zip(pools, shares, strict=True)])
            profile.rows += batch.num_rows
            profile.sample.add(_sampled_columns(profile, batch), place)
        for counted in waiting:
            _finish(counted)
    return profile


def fill_from(profile: DatasetProfile, source: TableFiles, timestamp_column: str) -> DatasetProfile:
    """Add all rows of a dataset to a profile, with their event times if it has any; see `fill`.

    Args:
        profile: An empty profile.
        source: The dataset.
        timestamp_column: Name of the event time column; ignored if the dataset holds no times under this name.
    """
    columns = list(profile.columns)
    if not has_times(source.schema, timestamp_column):
        return fill(profile, source.batches(columns))
    profile.timestamp_column = timestamp_column
    return fill(profile, source.batches([*columns, timestamp_column]))


def _sampled_columns(profile: DatasetProfile, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the columns to sample: those of the profile, and the event time in seconds; extend the profile's period on the way."""
    import pyarrow as pa

    rows = batch.select(list(profile.columns))
    if not profile.timestamp_column:
        return rows
    times = seconds(batch.column(batch.schema.get_field_index(profile.timestamp_column)))
    found = bounds(times)
    if found is not None:
        profile.extend_period(*found)
    column = pa.Array.from_buffers(pa.int64(), len(times), [None, pa.py_buffer(np.ascontiguousarray(times))])
    return rows.append_column(TIME_COLUMN, column)


def _finish(counted: list[Future[None]]) -> None:
    for future in counted:
        future.result()


def _count_columns(profile: DatasetProfile, batch: pa.RecordBatch, names: list[str]) -> None:
    for name in names:
        _count(profile.columns[name], batch.column(batch.schema.get_field_index(name)), name)


def _count(counts: NumberCounts | CategoryCounts, column: pa.Array, name: str) -> None:
    import pyarrow as pa

    try:
        if isinstance(counts, NumberCounts):
            values, nulls = float_values(column)
            counts.add(values, nulls=nulls)
        else:
            names, numbers, nulls = category_counts(column)
            counts.add(names, numbers, nulls=nulls)
    except (pa.ArrowException, ValueError) as error:
        raise DriftError(f"column {name!r}: its type changes within the data: {error}. Write all files with one schema.") from error
