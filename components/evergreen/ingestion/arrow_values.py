"""NumPy views of Arrow arrays.

Arrow's own conversions between Python and Arrow values import pandas, which costs half a second and is not otherwise
needed by this step. These functions use views of Arrow's buffers instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def numbers_of(values: pa.Array) -> npt.NDArray[Any]:
    """Return the values of an array of a fixed-width numeric type, without a copy; entries at nulls are undefined."""
    if not len(values):
        return np.empty(0, dtype=_numpy_type(values.type))
    return np.frombuffer(values.buffers()[1], dtype=_numpy_type(values.type))[values.offset : values.offset + len(values)]


def validity_of(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Return True where an array has a value and False at its nulls."""
    if not values.null_count:
        return np.ones(len(values), dtype=bool)
    return truths_of(pc.is_valid(values))


def truths_of(values: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    """Return the values of an array of booleans; entries at nulls are undefined."""
    return numbers_of(values.cast(pa.uint8())).astype(bool)


def integers_from(values: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]) -> pa.Int64Array:
    """Return an Arrow array of integers with nulls where ``present`` is False."""
    validity = np.packbits(present, bitorder="little")
    return pa.Array.from_buffers(pa.int64(), len(values), [pa.py_buffer(validity), pa.py_buffer(values)])


def booleans_from(values: npt.NDArray[np.bool_]) -> pa.BooleanArray:
    """Return an Arrow array of booleans."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def _numpy_type(kind: pa.DataType) -> np.dtype[Any]:
    name = "float" if pa.types.is_floating(kind) else "uint" if pa.types.is_unsigned_integer(kind) else "int"
    return np.dtype(f"{name}{kind.bit_width}")
