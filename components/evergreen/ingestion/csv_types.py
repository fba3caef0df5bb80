"""Column types of a CSV file, inferred from all of its rows rather than only the first block."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_NEXT_TYPES = {
    # Types to try, in order, when a value does not fit: each type can represent the values of the earlier ones.
    pa.null(): (pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.string()),
    pa.int64(): (pa.float64(), pa.string()),
    pa.float64(): (pa.string(),),
    pa.bool_(): (pa.string(),),
    pa.timestamp("us"): (pa.string(),),
    pa.string(): (),
}

# Codes such as postcodes would lose their leading zeros as numbers.
_LEADING_ZERO = r"^[+-]?0\d"
_TRUTH = r"^(?i:true|false)$"


def widen_type(known: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the narrowest type that can represent both the known type's values and these values.

    Integers, decimal fractions, true/false and ISO times without a zone are recognized; everything else is text, including integers with leading zeros.

    Args:
        known: The type so far; ``null`` at the start of the column.
        values: Text of the next rows, null where the field is empty.
    """
    if values.null_count == len(values) or _fits(values, known):
        return known
    return next(kind for kind in _NEXT_TYPES[known] if _fits(values, kind))


def _fits(values: pa.Array, kind: pa.DataType) -> bool:
    if pa.types.is_null(kind):
        return False
    if pa.types.is_string(kind):
        return True
    if pa.types.is_boolean(kind):
        return bool(pc.all(pc.match_substring_regex(values, _TRUTH)).as_py())
    if pc.any(pc.match_substring_regex(values, _LEADING_ZERO)).as_py():
        return False
    try:
        values.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
