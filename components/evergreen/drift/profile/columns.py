"""Determines which columns are compared, and as which kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from evergreen.drift.errors import DriftError

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

Kind = Literal["number", "category", "date", "empty", "other"]
"""Kind of a column; ``empty`` is a column of type null."""

PANDAS_INDEX = re.compile(r"__index_level_\d+__")

LEFT_OUT: dict[str, str] = {"date": "dates and times ({type}) always advance", "other": "values of type {type} cannot be compared"}


def kind_of(arrow_type: pa.DataType) -> Kind:
    """Return the kind of a column of an Arrow type. Booleans are categories."""
    from pyarrow import types

    if types.is_null(arrow_type):
        return "empty"
    if types.is_dictionary(arrow_type):
        return kind_of(arrow_type.value_type)
    if types.is_boolean(arrow_type) or types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        return "category"
    if types.is_integer(arrow_type) or types.is_floating(arrow_type) or types.is_decimal(arrow_type):
        return "number"
    return "date" if types.is_temporal(arrow_type) else "other"


def profiled_columns(schema: pa.Schema, *, ignored_columns: Collection[str] = ()) -> tuple[dict[str, Kind], dict[str, str]]:
    """Return the kind of each comparable column, and the reason why each other column is not comparable.

    Args:
        schema: The data's schema.
        ignored_columns: Columns not to compare and without a reason, such as the label, the event time and keys.

    Raises:
        DriftError: A column name appears twice.
    """
    kinds: dict[str, Kind] = {}
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(name for name in schema.names if name not in ignored_columns):
        if schema.names.count(name) > 1:
            raise DriftError(f"column {name!r} appears {schema.names.count(name)} times. Rename the columns at the source.")
        kind = kind_of(schema.field(name).type)
        if PANDAS_INDEX.fullmatch(name):
            left_out[name] = "row index of a pandas DataFrame"
        elif kind in LEFT_OUT:
            left_out[name] = LEFT_OUT[kind].format(type=schema.field(name).type)
        else:
            kinds[name] = kind
    return kinds, left_out


def matched_kinds(reference: dict[str, Kind], schema: pa.Schema) -> dict[str, Kind]:
    """Match the columns of the current data with those of the reference.

    Args:
        reference: Kind of each column of the reference.
        schema: The current data's schema; its columns may be in any order.

    Returns:
        The kind of each compared column, in the reference's order.

    Raises:
        DriftError: A column is missing from the current data, or holds another kind of values there.
    """
    kinds: dict[str, Kind] = {}
    for name, before in reference.items():
        if name not in schema.names:
            raise DriftError(
                f"column {name!r} ({before} in the reference) is missing from the current data, which has the columns {', '.join(schema.names)}. "
                "Restore it at the source, or train a champion without it."
            )
        now = kind_of(schema.field(name).type)
        if before != now and "empty" not in (before, now):
            raise DriftError(
                f"column {name!r} is a {before} in the reference and {schema.field(name).type} ({now}) in the current data: "
                "expected the same kind. Fix the source, or train a champion on the new type."
            )
        kinds[name] = now if before == "empty" else before
    return kinds
