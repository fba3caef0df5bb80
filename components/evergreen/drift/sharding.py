"""Profiles a dataset in shards, each in its own step, with the same result as if one step had read all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.artifacts import PRESENT, is_present, write_absent
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import NumberCounts
from evergreen.drift.profile.batches import Shard, TableFiles
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
    """Check that a dataset can be divided into this many shards.

    Raises:
        DriftError: The number is out of range.
    """
    if not 1 <= shards <= MOST_SHARDS:
        raise DriftError(f"shards {shards}: expected 1 to {MOST_SHARDS}. Use about one per ten million rows.")


def plan_for(reference_path: str | Path, *, ignored_columns: Collection[str], seed: int) -> DatasetProfile:
    """Return the plan for counting all shards: the reference's stored profile, or an empty one with its columns and bin edges.

    Args:
        reference_path: The reference data: a dataset, or the file of its profile.
        ignored_columns: Columns not to profile, such as the label and the event time.
        seed: The seed used later to profile the reference.

    Raises:
        DriftError: The reference cannot be read.
    """
    if is_profile(reference_path):
        plan = read_profile(reference_path)
        for name in ignored_columns:
            plan.columns.pop(name, None)
        return plan
    return plan_profile(TableFiles(reference_path), ignored_columns=ignored_columns, seed=seed)


def profile_shard(
    path: str | Path, plan: DatasetProfile, shard: Shard, *, ignored_columns: Collection[str], timestamp_column: str, seed: int
) -> DatasetProfile:
    """Profile one shard of the current data.

    Args:
        path: The whole dataset, of which only the shard's pieces are read.
        plan: The plan from `plan_for`.
        shard: The shard.
        ignored_columns: Columns not to profile.
        timestamp_column: Name of the event time column, whose first and last values are kept.
        seed: The seed of the comparison, which is the same for all shards.

    Raises:
        DriftError: The dataset cannot be read, or its columns do not match the plan.
    """
    source = TableFiles(path)
    # The comparison uses this seed for current data.
    profile = empty_like(plan, source.schema, seed=seed + 1, sample_rows=CURRENT_SAMPLE_ROWS, ignored_columns=ignored_columns)
    profile.period = period_of(source, timestamp_column, shard)
    return fill(profile, source.batches(list(profile.columns), shard))


def merged(profiles: list[DatasetProfile]) -> DatasetProfile:
    """Merge the profiles of all shards into the profile of the whole dataset.

    Raises:
        DriftError: There are no profiles, or they were not created with the same plan.
    """
    if not profiles:
        raise DriftError("profiles to merge: none given. Profile at least one shard.")
    whole, *others = profiles
    for other in others:
        whole.merge(other)
    return whole


def counted_alike(current: DatasetProfile, reference: DatasetProfile) -> DatasetProfile:
    """Return the current data's profile restricted to the reference's columns, after checking that both use the same bin edges.

    Raises:
        DriftError: A column is missing, holds another kind of values, or was counted with different edges.
    """
    for name, counts in reference.columns.items():
        theirs = current.columns.get(name)
        if theirs is None or not _alike(counts, theirs):
            raise DriftError(
                f"profile of the current data: column {name!r}, a {kind_of_counts(counts)} in the reference, "
                f"{'is missing' if theirs is None else f'is a {kind_of_counts(theirs)} here, or was counted with different bin edges'}. "
                "Profile the current data with a plan created from this reference."
            )
    current.columns = {name: current.columns[name] for name in reference.columns}
    return current


def _alike(counts: NumberCounts | CategoryCounts, theirs: NumberCounts | CategoryCounts) -> bool:
    if isinstance(counts, NumberCounts) and isinstance(theirs, NumberCounts):
        return np.array_equal(counts.edges, theirs.edges)
    kinds = (kind_of_counts(counts), kind_of_counts(theirs))
    return kinds[0] == kinds[1] or "empty" in kinds


def run_plan_step(*, reference_data: Any, plan: Any, shards: int, target_column: str, timestamp_column: str, seed: int) -> list[int]:
    """Write the plan for counting all shards, absent if there is no reference, and return the shard numbers.

    Raises:
        DriftError: The reference cannot be read, or the number of shards is out of range.
    """
    check_shards(shards)
    if is_present(reference_data):
        write_profile(plan_for(reference_data.path, ignored_columns=[target_column, timestamp_column], seed=seed), plan.path)
        plan.metadata[PRESENT] = True
    else:
        write_absent(plan)
    return list(range(shards))


def run_shard_step(*, dataset: Any, plan: Any, shard_profile: Any, shard: int, shards: int, target_column: str, timestamp_column: str, seed: int) -> int:
    """Write the profile of one shard, absent if the plan is absent, and return its number of rows.

    Raises:
        DriftError: The dataset, the plan or the shard number is invalid.
    """
    check_shards(shards)
    if not 0 <= shard < shards:
        raise DriftError(f"shard {shard}: expected 0 to {shards - 1}, because shards is {shards}.")
    if not is_present(plan):
        write_absent(shard_profile)
        return 0
    ignored = [target_column, timestamp_column]
    made = profile_shard(dataset.path, read_profile(plan.path), Shard(shard, shards), ignored_columns=ignored, timestamp_column=timestamp_column, seed=seed)
    write_profile(made, shard_profile.path)
    shard_profile.metadata.update({PRESENT: True, "rows": made.rows})
    return made.rows


def run_merge_step(*, shard_profiles: list[Any], profile: Any) -> int:
    """Write the profile of the whole dataset, absent if the shards' profiles are absent, and return its number of rows.

    Raises:
        DriftError: A profile cannot be read, or the profiles were not created with the same plan.
    """
    present = [shard.path for shard in shard_profiles if is_present(shard)]
    if shard_profiles and not present:
        write_absent(profile)
        return 0
    whole = merged([read_profile(path) for path in present])
    write_profile(whole, profile.path)
    profile.metadata.update({PRESENT: True, "rows": whole.rows})
    return whole.rows
