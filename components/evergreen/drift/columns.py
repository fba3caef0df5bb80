"""Which columns are compared and as what; bounded samples of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evergreen.artifacts import feature_columns
from evergreen.drift.errors import DriftError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset

Kind = Literal["number", "category", "date", "empty", "other"]
"""What a column holds; ``empty`` is a column without a single value."""


@dataclass(frozen=True)
class Sample:
    """A bounded random sample of a dataset.

    Attributes:
        frame: The sampled rows of the compared columns, in the dataset's order.
        rows: Number of rows of the whole dataset.
    """

    frame: pd.DataFrame
    rows: int


def kind_of(arrow_type: pa.DataType) -> Kind:
    """Return what a column of an Arrow type holds. Booleans are categories."""
    from pyarrow import types

    if types.is_null(arrow_type):
        return "empty"
    if (
        types.is_dictionary(arrow_type)
        or types.is_boolean(arrow_type)
        or types.is_string(arrow_type)
        or types.is_large_string(arrow_type)
        or types.is_string_view(arrow_type)
    ):
        return "category"
    if types.is_integer(arrow_type) or types.is_floating(arrow_type) or types.is_decimal(arrow_type):
        return "number"
    return "date" if types.is_temporal(arrow_type) else "other"


def compared_columns(reference: pa.Schema, current: pa.Schema, *, target_column: str, timestamp_column: str) -> tuple[dict[str, Kind], dict[str, str]]:
    """Match the columns of both datasets.

    Args:
        reference: Schema of the rows the champion was fitted on.
        current: Schema of the rows of the window.
        target_column: The label; it is not compared.
        timestamp_column: The event time; it is not compared.

    Returns:
        The kind of each compared column, and the reason for each column that is left out.

    Raises:
        DriftError: A column is absent from the current data, or has another type there.
    """
    kinds: dict[str, Kind] = {}
    left_out: dict[str, str] = {}
    for name in feature_columns(reference.names, target_column=target_column, timestamp_column=timestamp_column):
        type_before = reference.field(name).type
        if name not in current.names:
            raise DriftError(
                f"column {name!r} ({type_before} in the reference) is missing from the current data, whose columns are {', '.join(current.names)}. "
                "Restore it at the source, or fit a champion without it."
            )
        type_now = current.field(name).type
        before, now = kind_of(type_before), kind_of(type_now)
        if before != now and "empty" not in (before, now):
            raise DriftError(
                f"column {name!r} is {type_before} ({before}) in the reference and {type_now} ({now}) in the current data: "
                "expected the same kind. Repair the source, or fit a champion on the new type."
            )
        kind = now if before == "empty" else before
        if kind == "date":
            left_out[name] = f"a date or time ({type_before}): it moves on by itself"
        elif kind == "other":
            left_out[name] = f"values of type {type_before} cannot be compared"
        else:
            kinds[name] = kind
    for name in feature_columns(current.names, target_column=target_column, timestamp_column=timestamp_column):
        if name not in reference.names:
            left_out[name] = "it is not in the reference, so the champion does not use it"
    return kinds, left_out


def read_sample(table: pyarrow.dataset.Dataset, columns: list[str], *, rows: int, generator: np.random.Generator) -> Sample:
    """Read the named columns of a random sample of rows, without replacement.

    Args:
        table: The dataset.
        columns: What to read.
        rows: Most rows to read.
        generator: Where the randomness comes from.
    """
    import numpy as np

    total = table.count_rows()
    if total <= rows:
        return Sample(table.to_table(columns=columns).to_pandas(), total)
    chosen = np.sort(generator.choice(total, size=rows, replace=False))
    return Sample(table.take(chosen, columns=columns).to_pandas(), total)
