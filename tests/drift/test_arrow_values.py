"""Arrow's columns as numpy arrays: whatever the type, wherever the gaps, and in slices that start inside a byte of the gaps' bitmap."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from evergreen.data.arrow_values import category_counts, float_values, float_values_or_nan, take_rows

GAPS = np.random.default_rng(1).random(100) < 0.3
NUMBERS = [pa.int8(), pa.uint16(), pa.int32(), pa.uint64(), pa.int64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2)]


def column(arrow_type: pa.DataType, *, gaps: bool) -> pa.Array:
    """Return 90 values, seen through a slice of an array of 100."""
    values = np.random.default_rng(2).integers(0, 100, 100)
    plain = [Decimal(int(value)) for value in values] if pa.types.is_decimal(arrow_type) else values
    mask = GAPS if gaps else None
    if pa.types.is_float16(arrow_type):
        return pa.array(values.astype(np.float16), mask=mask)[5:95]
    return pa.array(plain, type=arrow_type, mask=mask)[5:95]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("arrow_type", NUMBERS, ids=str)
def test_numbers_are_what_arrow_makes_of_them(arrow_type: pa.DataType, gaps: bool) -> None:
    given = column(arrow_type, gaps=gaps)
    expected = given.cast(pa.float64())
    values, nulls = float_values(given)
    assert values.tolist() == pc.drop_null(expected).to_pylist()
    assert nulls == given.null_count
    assert np.array_equal(float_values_or_nan(given), np.array([np.nan if value is None else value for value in expected.to_pylist()]), equal_nan=True)


@pytest.mark.parametrize("arrow_type", [pa.null(), pa.float64(), pa.int32()], ids=str)
def test_a_column_without_a_value_gives_none(arrow_type: pa.DataType) -> None:
    values, nulls = float_values(pa.nulls(7, arrow_type))
    assert (len(values), nulls) == (0, 7)
    assert np.isnan(float_values_or_nan(pa.nulls(7, arrow_type))).all()
    assert len(float_values(pa.nulls(0, arrow_type))[0]) == 0


@pytest.mark.parametrize("distinct", [3, 2000])
@pytest.mark.parametrize("as_dictionary", [False, True])
def test_categories_are_counted_by_name(as_dictionary: bool, distinct: int) -> None:
    texts = [f"v{index % distinct}" for index in range(5000)]
    given = pa.array([None if index % 7 == 0 else text for index, text in enumerate(texts)])
    given = (given.dictionary_encode() if as_dictionary else given)[3:3003]
    names, numbers, nulls = category_counts(given)
    expected = given.drop_null().cast(pa.string()).value_counts().to_pylist()
    assert dict(zip(names, numbers.tolist(), strict=True)) == {entry["values"]: entry["counts"] for entry in expected}
    assert nulls == given.null_count


def test_rows_are_picked_from_columns_of_every_kind() -> None:
    columns: dict[str, pa.Array] = {str(arrow_type): column(arrow_type, gaps=True) for arrow_type in NUMBERS}
    columns["whole"] = column(pa.float64(), gaps=False)
    columns["text"] = columns["int32"].cast(pa.string())
    columns["dictionary"] = columns["text"].dictionary_encode()[:90]
    columns["flag"] = pc.greater(columns["int32"], 50)
    columns["null"] = pa.nulls(90)
    given = pa.RecordBatch.from_pydict(columns)
    positions = np.array([80, 3, 3, 0, 41])
    found = take_rows(given, positions)
    assert found.schema == given.schema
    assert found.to_pylist() == given.take(pa.array(positions)).to_pylist()
    found.validate(full=True)
