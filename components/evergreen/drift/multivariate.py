"""Joint tests of all features, which detect changes that no single feature shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.data.arrow_values import float_values_or_nan
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.profile.correlation import MOST_ROWS, changed_correlation, rank_correlations
from evergreen.drift.statistics import corrected_p_values
from evergreen.results.drift import CorrelationChange

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from evergreen.drift.profile.table_profile import DatasetProfile
    from evergreen.drift.settings import DriftSettings


def changed_correlations(reference: DatasetProfile, current: DatasetProfile, settings: DriftSettings) -> list[CorrelationChange]:
    """Return the numeric pairs whose rank correlation changed significantly and enough to matter, largest change first.

    Args:
        reference: Profile of the reference data.
        current: Profile of the current data with the same columns.
        settings: Significance and floor.
    """
    if min(reference.sample.rows, current.sample.rows) < settings.minimum_rows_together:
        return []
    names, before = rank_correlations(reference)
    if names != [name for name, counts in current.columns.items() if isinstance(counts, NumberCounts)]:
        return []
    _, now = rank_correlations(current)
    rows = [min(profile.sample.rows, MOST_ROWS) for profile in (reference, current)]
    pairs = [(one, other) for one in range(len(names)) for other in range(one) if not np.isnan(before[one, other] + now[one, other])]
    corrected = corrected_p_values([changed_correlation(before[pair], rows[0], now[pair], rows[1]) for pair in pairs])
    found = [
        CorrelationChange((names[pair[1]], names[pair[0]]), float(before[pair]), float(now[pair]), p_value)
        for pair, p_value in zip(pairs, corrected, strict=True)
        if p_value < settings.significance and abs(now[pair] - before[pair]) >= settings.correlation_change
    ]
    return sorted(found, key=lambda change: -abs(change.now - change.before))[:10]


def feature_matrix(sample: pa.Table, reference: DatasetProfile) -> NDArray[np.float64]:
    """Return sampled rows as numbers, shape (rows, features), with categories as codes of the reference and missing values as NaN.

    Categories that are not in the reference share one code.
    """
    matrix = np.full((sample.num_rows, len(reference.columns)), np.nan)
    for position, (name, counts) in enumerate(reference.columns.items()):
        matrix[:, position] = _category_codes(sample, name, counts) if isinstance(counts, CategoryCounts) else _numbers(sample, name)
    return matrix


def _numbers(sample: pa.Table, name: str) -> NDArray[np.float64]:
    values = float_values_or_nan(sample.column(name).combine_chunks())
    values[np.isinf(values)] = np.nan
    return values


def _category_codes(sample: pa.Table, name: str, counts: CategoryCounts) -> NDArray[np.float64]:
    codes = {category: float(code) for code, category in enumerate(sorted(counts.counts))}
    unknown = float(len(codes))
    values = (str(value).lower() if isinstance(value, bool) else value for value in sample.column(name).to_pylist())
    return np.array([np.nan if value is None else codes.get(value, unknown) for value in values])
