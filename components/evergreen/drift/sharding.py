"""A dataset that is profiled in parts, each in a step of its own, and judged as if one step had read it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.artifacts import PRESENT, is_present, write_absent
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import NumberCounts
from evergreen.drift.profile.batches import Shard, Source
from evergreen.drift.profile.file import is_profile, read_profile, write_profile
from evergreen.drift.profile.scan import empty_like, fill, kind_of_counts, plan_profile
from evergreen.drift.profile.season import period_of
from evergreen.drift.profile.table_profile import CURRENT_SAMPLE_ROWS, DatasetProfile

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from evergreen.drift.profile.accumulators import CategoryCounts

MOST_SHARDS = 1000


def check_shards(shards: int) -> None:
    """See that a dataset can be divided into so many parts.

    Raises:
        DriftError: It cannot.
    """
    if not 1 <= shards <= MOST_SHARDS:
        raise DriftError(f"shards {shards}: expected 1 to {MOST_SHARDS} parts. Take about one for every ten million rows.")


def plan_for(reference_path: str | Path, *, ignored_columns: Collection[str], seed: int) -> DatasetProfile:
    """Return the plan by which all shards count: the reference's profile when it is stored, else an empty one with its columns and edges.

    Args:
        reference_path: The reference: a dataset, or the file of its profile.
        ignored_columns: Columns that are not profiled: the label, the event time.
        seed: The seed with which the reference is profiled later.

    Raises:
        DriftError: The reference cannot be read.
    """
    if is_profile(reference_path):
        plan = read_profile(reference_path)
        for name in ignored_columns:
            plan.columns.pop(name, None)
        return plan
    return plan_profile(Source(reference_path), ignored_columns=ignored_columns, seed=seed)


def profile_shard(
    path: str | Path, plan: DatasetProfile, shard: Shard, *, ignored_columns: Collection[str], timestamp_column: str, seed: int
) -> DatasetProfile:
    """Profile one shard of the current data.

    Args:
        path: The whole dataset; the shard's pieces of it are read.
        plan: What `plan_for` made.
        shard: Which part.
        ignored_columns: Columns that are not profiled.
        timestamp_column: The event time, whose first and last value are kept.
        seed: The seed of the comparison, the same for all shards.

    Raises:
        DriftError: The dataset cannot be read, or its columns are not those of the plan.
    """
    source = Source(path)
    # The seed is the one that the comparison gives to current data.
    profile = empty_like(plan, source.schema, seed=seed + 1, sample_rows=CURRENT_SAMPLE_ROWS, ignored_columns=ignored_columns)
    profile.period = period_of(source, timestamp_column, shard)
    return fill(profile, source.batches(list(profile.columns), shard))


def merged(profiles: list[DatasetProfile]) -> DatasetProfile:
    """Return the profile of the whole from the profiles of all of its shards.

    Raises:
        DriftError: There is none, or they were not made by one plan.
    """
    if not profiles:
        raise DriftError("profiles to merge: there is none. Profile at least one shard.")
    whole, *others = profiles
    for other in others:
        whole.merge(other)
    return whole


def counted_alike(current: DatasetProfile, reference: DatasetProfile) -> DatasetProfile:
    """Return the current data's profile, whose columns are those of the reference, counted with the same edges.

    Raises:
        DriftError: A column is missing, holds another kind of values, or was counted with other edges.
    """
    for name, counts in reference.columns.items():
        theirs = current.columns.get(name)
        if theirs is None or not _alike(counts, theirs):
            raise DriftError(
                f"profile of the current data: column {name!r}, a {kind_of_counts(counts)} in the reference, "
                f"{'is missing there' if theirs is None else f'is a {kind_of_counts(theirs)} there, or was counted with other edges'}. "
                "Profile the current data by a plan that was made from this reference."
            )
    current.columns = {name: current.columns[name] for name in reference.columns}
    return current


def _alike(counts: NumberCounts | CategoryCounts, theirs: NumberCounts | CategoryCounts) -> bool:
    if isinstance(counts, NumberCounts) and isinstance(theirs, NumberCounts):
        return np.array_equal(counts.edges, theirs.edges)
    kinds = (kind_of_counts(counts), kind_of_counts(theirs))
    return kinds[0] == kinds[1] or "empty" in kinds


def run_plan_step(*, reference_data: Any, plan: Any, shards: int, target_column: str, timestamp_column: str, seed: int) -> list[int]:
    """Write the plan by which all shards count, absent where there is no reference, and return the shards' numbers.

    Raises:
        DriftError: The reference cannot be read, or the number of shards is out of its range.
    """
    check_shards(shards)
    if is_present(reference_data):
        write_profile(plan_for(reference_data.path, ignored_columns=[target_column, timestamp_column], seed=seed), plan.path)
        plan.metadata[PRESENT] = True
    else:
        write_absent(plan)
    return list(range(shards))


def run_shard_step(*, dataset: Any, plan: Any, shard_profile: Any, shard: int, shards: int, target_column: str, timestamp_column: str, seed: int) -> int:
    """Write the profile of one shard, absent where the plan is, and return its rows.

    Raises:
        DriftError: The dataset or the plan cannot be used, or there is no such shard.
    """
    check_shards(shards)
    if not 0 <= shard < shards:
        raise DriftError(f"shard {shard}: expected 0 to {shards - 1}, as shards is {shards}.")
    if not is_present(plan):
        write_absent(shard_profile)
        return 0
    ignored = [target_column, timestamp_column]
    made = profile_shard(dataset.path, read_profile(plan.path), Shard(shard, shards), ignored_columns=ignored, timestamp_column=timestamp_column, seed=seed)
    write_profile(made, shard_profile.path)
    shard_profile.metadata.update({PRESENT: True, "rows": made.rows})
    return made.rows


def run_merge_step(*, shard_profiles: list[Any], profile: Any) -> int:
    """Write the profile of the whole, absent where the shards' are, and return its rows.

    Raises:
        DriftError: A profile cannot be read, or they were not made by one plan.
    """
    present = [shard.path for shard in shard_profiles if is_present(shard)]
    if shard_profiles and not present:
        write_absent(profile)
        return 0
    whole = merged([read_profile(path) for path in present])
    write_profile(whole, profile.path)
    profile.metadata.update({PRESENT: True, "rows": whole.rows})
    return whole.rows
