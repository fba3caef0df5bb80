"""Loads a dataset as a pandas DataFrame with only a few plain column types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

from evergreen.data.artifacts import open_table


@dataclass(frozen=True)
class LoadedData:
    """A dataset in memory.

    Attributes:
        table: The rows as read.
        frame: The rows for checks: decimals are floats, dates and timestamps are UTC times.
        kinds: Kind of each column: a contract type, ``empty`` if it has no type, or Arrow's name of a type that contracts do not support.
    """

    table: pa.Table
    frame: pd.DataFrame
    kinds: dict[str, str]


def load_data(path: str | Path) -> LoadedData:
    """Read a tabular artifact once.

    Raises:
        ArtifactError: There is no table at the path.
    """
    table = open_table(path).to_table()
    table = pa.table([_decoded(column) for column in table.columns], names=table.column_names)
    plain = pa.table([_plain(column) for column in table.columns], names=table.column_names)
    kinds = {field.name: _kind(field.type) for field in table.schema}
    return LoadedData(table=table, frame=plain.to_pandas(), kinds=kinds)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms")).cast(pa.timestamp("us", tz="UTC"))
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False)
    return column


def _kind(kind: pa.DataType) -> str:
    tests = (
        (pa.types.is_null, "empty"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "timestamp"),
    )
    return next((name for test, name in tests if test(kind)), str(kind))
