"""Values of Arrow columns as NumPy arrays, and row selection.

Fixed-width numbers and text dictionaries, which make up nearly all of a dataset, are read directly from Arrow's buffers. Other types
need ``pyarrow.compute``, whose import takes as long as counting 100,000 rows. PyArrow's own conversions would import pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    import pyarrow as pa
    from numpy.typing import NDArray

NUMPY_TYPES = {
    **{f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "halffloat": np.dtype(np.float16),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}
"""NumPy's numeric types by their Arrow names."""

FEW_NAMES = 1000
"""Maximum size of a text dictionary that is converted to Python as a whole, whether or not a chunk uses all entries."""


def arrow_array(values: NDArray[Any], arrow_type: pa.DataType, present: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return numbers as an Arrow array of a type of the same width, with nulls where ``present`` is False. ``pa.array`` would import pandas.

    Args:
        values: The numbers, shape (rows,).
        arrow_type: The type of the array.
        present: Whether each row has a value, shape (rows,); None if all rows have one.
    """
    import pyarrow as pa

    validity = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(arrow_type, len(values), [validity, pa.py_buffer(np.ascontiguousarray(values))])


def present_rows(column: pa.Array) -> NDArray[np.bool_] | None:
    """Return whether each row of a column (not of type null) has a value, shape (rows,); None if all rows have one."""
    if not column.null_count:
        return None
    bits = np.frombuffer(column.buffers()[0], dtype=np.uint8)
    return np.unpackbits(bits, count=column.offset + len(column), bitorder="little")[column.offset :].view(np.bool_)


def numbers_of(column: pa.Array) -> NDArray[Any]:
    """Return the values of a column of a fixed-width numeric or time type, without a copy, shape (rows,); entries at nulls are undefined."""
    numpy_type = _numpy_type(column.type)
    if not len(column):
        return np.zeros(0, dtype=numpy_type)
    return np.frombuffer(column.buffers()[1], dtype=numpy_type, count=len(column), offset=column.offset * numpy_type.itemsize)


def _numpy_type(arrow_type: pa.DataType) -> np.dtype[Any]:
    import pyarrow as pa

    # Times and dates are counted in integers of their width.
    return NUMPY_TYPES.get(str(arrow_type)) or np.dtype(f"{'uint' if pa.types.is_unsigned_integer(arrow_type) else 'int'}{arrow_type.bit_width}")


def validity_of(column: pa.Array) -> NDArray[np.bool_]:
    """Return True where a column has a value and False at its nulls, shape (rows,)."""
    if not column.null_count:
        return np.ones(len(column), dtype=bool)
    return truths_of(column.is_valid())


def truths_of(column: pa.BooleanArray) -> NDArray[np.bool_]:
    """Return the values of a column of booleans, shape (rows,); entries at nulls are undefined."""
    import pyarrow as pa

    return numbers_of(column.cast(pa.uint8())).astype(bool)


def booleans_from(values: NDArray[np.bool_]) -> pa.BooleanArray:
    """Return an Arrow array of booleans."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def _as_numbers(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    return column if str(column.type) in NUMPY_TYPES else column.cast(pa.float64(), safe=False)


def float_values(column: pa.Array) -> tuple[NDArray[np.float64], int]:
    """Return the non-null values of a column as float64, and the number of nulls.

    The values are a view where possible.
    """
    nulls = int(column.null_count)
    if nulls == len(column):
        return np.zeros(0), nulls
    numbers = _as_numbers(column)
    present = present_rows(numbers)
    values = numbers_of(numbers)
    return (values if present is None else values[present]).astype(np.float64, copy=False), nulls


def float_values_or_nan(column: pa.Array) -> NDArray[np.float64]:
    """Return all values of a column as float64, with NaN for missing values, shape (rows,)."""
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    numbers = _as_numbers(column)
    values = numbers_of(numbers).astype(np.float64)
    present = present_rows(numbers)
    if present is not None:
        values[~present] = np.nan
    return values


def category_counts(column: pa.Array) -> tuple[list[str], NDArray[np.int64], int]:
    """Return the categories of a column, the number of rows per category, and the number of nulls."""
    import pyarrow as pa

    nulls = int(column.null_count)
    if pa.types.is_null(column.type):
        return [], np.zeros(0, dtype=np.int64), nulls
    if not pa.types.is_dictionary(column.type):
        column = (column if pa.types.is_string(column.type) else column.cast(pa.string())).dictionary_encode()
    names = column.dictionary if pa.types.is_string(column.dictionary.type) else column.dictionary.cast(pa.string())
    present = present_rows(column.indices)
    codes = numbers_of(column.indices)
    used = np.bincount(codes if present is None else codes[present], minlength=len(names)).astype(np.int64)
    seen = np.flatnonzero(used)
    if len(names) <= FEW_NAMES:
        texts = names.to_pylist()
        return [texts[code] for code in seen.tolist()], used[seen], nulls
    return names.take(arrow_array(seen, pa.int64())).to_pylist(), used[seen], nulls


def take_rows(rows: pa.RecordBatch, positions: NDArray[np.int64]) -> pa.RecordBatch:
    """Return the rows at the given positions, in that order."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([_taken(column, positions) for column in rows.columns], schema=rows.schema)


def _taken(column: pa.Array, positions: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(_taken(column.indices, positions), column.dictionary, ordered=column.type.ordered, safe=False)
    if str(column.type) not in NUMPY_TYPES:
        return column.take(arrow_array(positions, pa.int64()))
    present = present_rows(column)
    return arrow_array(numbers_of(column)[positions], column.type, None if present is None else present[positions])
