from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.ingestion.fingerprint import fingerprint_table
from evergreen.ingestion.window import window_before
from evergreen.ingestion.windowing import ingest_window
from ingestion.conftest import daily_table

ROW = st.tuples(
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.none(), st.floats()),
    st.one_of(st.none(), st.text()),
    st.one_of(st.none(), st.booleans()),
)


def as_table(rows: list[tuple[object, ...]]) -> pa.Table:
    schema = pa.schema([("i", pa.int64()), ("f", pa.float64()), ("s", pa.string()), ("b", pa.bool_())])
    return pa.table([pa.array([row[index] for row in rows], field.type) for index, field in enumerate(schema)], schema=schema)


@given(rows=st.lists(ROW, max_size=20), data=st.data())
def test_order_of_rows_and_chunks_does_not_matter(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    chunked = pa.concat_tables([as_table(shuffled[:cut]), as_table(shuffled[cut:])])
    assert fingerprint_table(chunked) == fingerprint_table(as_table(rows)) == fingerprint_table(as_table(rows).select(["b", "s", "f", "i"]))


@given(rows=st.lists(ROW, min_size=1, max_size=20), data=st.data())
def test_another_value_another_fingerprint(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    changed = [*rows]
    changed[position] = (None if rows[position][0] is not None else 7, *rows[position][1:])
    assert fingerprint_table(as_table(changed)) != fingerprint_table(as_table(rows))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.table({"a": [1, 2], "b": [3, 4]}), pa.table({"a": [2, 1], "b": [3, 4]})),
        (pa.table({"a": [1]}), pa.table({"a": [1.0]})),
        (pa.table({"a": [1]}), pa.table({"b": [1]})),
        (pa.table({"a": [1]}), pa.table({"a": [1, 1]})),
        (pa.table({"a": [1, 1]}), pa.table({"a": [1, 1, 1, 1]})),
        (pa.table({"a": [0.0]}), pa.table({"a": pa.array([None], pa.float64())})),
        (pa.table({"a": [""]}), pa.table({"a": pa.array([None], pa.string())})),
        (pa.table({"a": ["x"]}), pa.table({"a": [b"x"]})),
        (pa.table({"a": [[1, 2]]}), pa.table({"a": [[2, 1]]})),
        (pa.table({"a": [1], "b": [2]}), pa.table({"a": [2], "b": [1]})),
    ],
)
def test_different_content_differs(one: pa.Table, other: pa.Table) -> None:
    assert fingerprint_table(one) != fingerprint_table(other)


def test_zeros_and_encodings_are_the_same_content() -> None:
    assert fingerprint_table(pa.table({"a": [-0.0]})) == fingerprint_table(pa.table({"a": [0.0]}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(cut=st.integers(1, 9), group=st.integers(1, 10))
def test_the_layout_of_files_does_not_matter(tmp_path_factory: pytest.TempPathFactory, cut: int, group: int) -> None:
    whole, folder = daily_table(), tmp_path_factory.mktemp("layout")
    (folder / "source").mkdir()
    pq.write_table(whole[cut:], folder / "source" / "a.parquet", row_group_size=group)
    pq.write_table(whole[:cut], folder / "source" / "b.parquet")
    ingested = ingest_window(folder / "dataset", source_uri=str(folder / "source"), timestamp_column="time")
    assert ingested.manifest.fingerprint == fingerprint_table(whole.replace_schema_metadata(None))


@given(end=st.integers(0, 4 * 10**15), days=st.integers(1, 5000), delay=st.integers(0, 500))
def test_windows_have_their_length_and_touch(end: int, days: int, delay: int) -> None:
    window = window_before(end, window_days=days, label_delay_days=delay)
    earlier = window_before(end, window_days=1, label_delay_days=delay + days)
    assert window.end - window.start == days * 86_400_000_000
    assert earlier.end == window.start
