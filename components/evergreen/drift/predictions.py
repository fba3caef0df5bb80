"""The champion's predictions as an additional column, to detect changes in them regardless of the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.profile.edges import choose_edges

if TYPE_CHECKING:
    import pyarrow as pa

    from evergreen.drift.profile.table_profile import DatasetProfile
    from evergreen.models.fitted import FittedModel


def predicted_columns(
    model: FittedModel, reference: DatasetProfile, current: DatasetProfile
) -> tuple[NumberCounts, NumberCounts] | tuple[CategoryCounts, CategoryCounts] | str:
    """Predict the sampled rows of both sides and count the predictions.

    For two classes, the probability of the second is counted; for more classes, the class; for regression, the value.

    Args:
        model: The champion.
        reference: Profile of the reference data.
        current: Profile of the current data.

    Returns:
        The counts of both sides, or the reason why there are none.

    Raises:
        ArtifactError: A feature holds values of a different kind than at training.
    """
    tables = reference.sample.state()[0], current.sample.state()[0]
    if tables[0] is None or tables[1] is None or not min(tables[0].num_rows, tables[1].num_rows):
        return "there are no rows to predict"
    missing = [name for name in model.description.features if name not in tables[0].column_names]
    if missing:
        return f"the champion needs the column {missing[0]}, which is not compared"
    if model.description.task == "classification" and len(model.description.classes) != 2:
        return _classes(model, tables[0]), _classes(model, tables[1])
    before, now = _numbers(model, tables[0]), _numbers(model, tables[1])
    edges = choose_edges(before)
    counts = NumberCounts(edges), NumberCounts(edges)
    counts[0].add(before, nulls=0)
    counts[1].add(now, nulls=0)
    return counts


def _numbers(model: FittedModel, rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    frame = rows.to_pandas()
    probability = model.predict_probability(frame)
    return np.asarray(model.predict(frame) if probability is None else probability[:, 1], dtype=np.float64)


def _classes(model: FittedModel, rows: pa.Table) -> CategoryCounts:
    names, numbers = np.unique([str(label) for label in model.predict(rows.to_pandas()).tolist()], return_counts=True)
    counts = CategoryCounts()
    counts.add(names.tolist(), numbers, nulls=0)
    return counts
