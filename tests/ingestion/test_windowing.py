from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from kfp import dsl

from evergreen import ingest_data
from evergreen.data.artifacts import manifest_of
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.windowing import ingest_window
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from ingestion.conftest import START, daily_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_latest_takes_in_the_newest_event_and_the_window_is_half_open(source: Path, ingest: Callable[..., Any]) -> None:
    table, ingested = ingest(source, window_days=3)
    assert ingested.window_end == "2024-01-11T00:00:00Z"
    assert table["value"].to_pylist() == [7.0, 8.0, 9.0]
    table, _ = ingest(source, window_end="2024-01-10", window_days=2)
    assert table["value"].to_pylist() == [7.0, 8.0]


def test_label_delay_moves_the_window_but_not_the_returned_end(source: Path, ingest: Callable[..., Any]) -> None:
    table, ingested = ingest(source, window_days=2, label_delay_days=3)
    assert ingested.window_end == "2024-01-11T00:00:00Z"
    assert ingested.manifest.window == {"start": "2024-01-06T00:00:00Z", "end": "2024-01-08T00:00:00Z"}
    assert table["value"].to_pylist() == [5.0, 6.0]


@pytest.mark.parametrize(
    ("newest", "end"),
    [
        (timedelta(hours=5), "2024-01-10T06:00:00Z"),
        (timedelta(minutes=7), "2024-01-10T00:08:00Z"),
        (timedelta(seconds=9), "2024-01-10T00:00:10Z"),
        (timedelta(microseconds=500), "2024-01-10T00:00:00.000501Z"),
    ],
)
def test_latest_ends_at_the_boundary_of_the_coarsest_common_unit(source: Path, ingest: Callable[..., Any], newest: timedelta, end: str) -> None:
    pq.write_table(daily_table(1, start=START + timedelta(days=9) + newest), source / "b.parquet")
    assert ingest(source)[1].window_end == end


def test_csv_gzip_and_parquet_give_the_same_rows_and_fingerprint(source: Path, tmp_path: Path, ingest: Callable[..., Any]) -> None:
    expected, ingested = ingest(source)
    content = tmp_path / "plain.csv"
    pacsv.write_csv(daily_table(), content)
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(content.read_bytes()))
    for name in ("plain.csv", "packed.csv.gz"):
        table, other = ingest(tmp_path / name)
        # 0.0, 1.0 ... are written as 0, 1 ...: a CSV of whole numbers holds integers.
        assert table.set_column(1, "value", table["value"].cast(pa.float64())).equals(expected)
        assert other.manifest.rows == ingested.manifest.rows


def test_types_of_csv_are_decided_by_all_rows(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    rows = [f"2024-01-01T00:00:{second % 60:02d},{second},{second:05d},{'' if second else 'x'}" for second in range(200_000)]
    (tmp_path / "long.csv").write_text("\n".join(["time,number,code,rare", *rows, "2024-01-02,0.5,00001,y"]))
    table, _ = ingest(tmp_path / "long.csv")
    assert [str(kind) for kind in table.schema.types] == ["timestamp[us, tz=UTC]", "double", "string", "string"]
    assert table["number"][-1].as_py() == 0.5
    assert table["code"][7].as_py() == "00007"


def test_semicolons_are_recognised(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_text("time;value\n2024-01-01;3\n")
    assert ingest(tmp_path / "a.csv")[0]["value"].to_pylist() == [3]


def test_folders_and_globs_are_read_in_sorted_order_and_other_files_passed_over(source: Path, ingest: Callable[..., Any]) -> None:
    pq.write_table(daily_table(2, start=START - timedelta(days=2)), source / "0.parquet")
    (source / "README.md").write_text("about")
    (source / "_SUCCESS").write_text("x")
    (source / ".hidden").write_text("x")
    for uri in (source, f"{source}/*.parquet", source.as_uri(), f"file://{source}/?.parquet"):
        table, ingested = ingest(uri)
        assert table["value"].to_pylist() == [0.0, 1.0, *map(float, range(10))]
        assert [item["uri"].rpartition("/")[2] for item in ingested.manifest.objects] == ["0.parquet", "a.parquet"]


def test_the_same_window_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        ingest_window(tmp_path / name, source_uri=str(source), timestamp_column="time", window_days=5)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_row_groups_outside_the_window_are_not_read(source: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(daily_table(100), source / "a.parquet", row_group_size=10)
    read: list[int] = []
    original = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, *args: Any, **options: Any) -> Any:
        if len(options["columns"]) > 1:
            read.extend(options["row_groups"])
        return original(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    table, _ = ingest(source, window_end="2024-01-23", window_days=2)
    assert table["value"].to_pylist() == [20.0, 21.0]
    assert read == [2]


def test_integers_and_floats_of_different_files_become_floats(source: Path, ingest: Callable[..., Any]) -> None:
    pq.write_table(daily_table().set_column(1, "value", pa.array(range(10))), source / "b.parquet")
    table, _ = ingest(source)
    assert table["value"].to_pylist() == [*map(float, range(10))] * 2


def test_a_column_that_a_file_lacks_is_null_in_its_rows(source: Path, ingest: Callable[..., Any]) -> None:
    pq.write_table(daily_table().drop_columns(["city"]), source / "b.parquet")
    assert ingest(source)[0]["city"].null_count == 10


def test_dictionary_columns_become_text(source: Path, ingest: Callable[..., Any]) -> None:
    table = daily_table()
    pq.write_table(table.set_column(2, "city", table["city"].dictionary_encode()), source / "a.parquet")
    assert ingest(source)[0]["city"].type == pa.string()


def test_rows_without_time_are_left_out_and_counted(source: Path, ingest: Callable[..., Any]) -> None:
    table = daily_table()
    times = pa.array([None, *table["time"].to_pylist()[1:]], pa.timestamp("us", tz="UTC"))
    pq.write_table(table.set_column(0, "time", times), source / "a.parquet")
    table, ingested = ingest(source)
    assert ingested.rows_without_time == 1
    assert table.num_rows == 9


def test_excluded_columns_are_left_out(source: Path, ingest: Callable[..., Any]) -> None:
    assert ingest(source, excluded_columns="city, value")[0].column_names == ["time"]


def _truncated(source: Path) -> None:
    content = (source / "a.parquet").read_bytes()
    (source / "a.parquet").write_bytes(content[: len(content) // 2])


def _with_times(times: pa.Array) -> Callable[[Path], None]:
    return lambda source: pq.write_table(daily_table(len(times)).set_column(0, "time", times), source / "a.parquet")


FAILURES: dict[str, tuple[Callable[[Path], object], dict[str, Any], list[str]]] = {
    "missing file": (lambda _: None, {"source_uri": "/nowhere/x.csv"}, ["'/nowhere/x.csv'", "no such file"]),
    "glob without match": (lambda _: None, {"source_uri": "/nowhere/*.csv"}, ["'/nowhere/*.csv'", "no file matches"]),
    "empty uri": (lambda _: None, {"source_uri": " "}, ["source_uri is empty"]),
    "unknown scheme": (lambda _: None, {"source_uri": "ftp://host/x"}, ["ftp://host/x", "Unknown scheme 'ftp'", "gs://"]),
    "no bucket": (lambda _: None, {"source_uri": "s3:///x"}, ["'s3:///x'", "bucket name is missing"]),
    "folder without data": (lambda source: (source / "a.parquet").rename(source / "a.json"), {}, ["contains no data files"]),
    "empty file": (lambda source: (source / "a.parquet").write_bytes(b""), {}, ["a.parquet", "is empty"]),
    "binary": (lambda source: (source / "a.parquet").write_bytes(b"\x89PNG\0\1"), {}, ["a.parquet", "is not Parquet, CSV"]),
    "broken gzip": (lambda source: (source / "b.csv.gz").write_bytes(b"\x1f\x8bxxxxxxxxxxx"), {}, ["b.csv.gz", "cannot be decompressed"]),
    "ragged CSV": (lambda source: (source / "b.csv").write_text("time,x\n2024-01-01,1\n2024-01-02\n"), {}, ["b.csv", "cannot be read as CSV"]),
    "no header": (lambda source: (source / "b.csv").write_text("\n\n"), {}, ["b.csv", "no header"]),
    "truncated": (_truncated, {}, ["a.parquet", "cannot be read as Parquet", "truncated"]),
    "header only": (lambda source: pq.write_table(daily_table(0), source / "a.parquet"), {}, ["contains no rows"]),
    "empty window": (
        lambda _: None,
        {"window_end": "2020-01-01", "window_days": 5},
        [
            "[2019-12-27T00:00:00Z, 2020-01-01T00:00:00Z): contains no rows",
            "newest event in 'time' is at 2024-01-10T00:00:00Z",
            "2024-01-01T00:00:00Z to 2024-01-10T00:00:00Z",
            "Set data_window_end to 'latest'",
        ],
    ),
    "missing time column": (lambda _: None, {"timestamp_column": "Times"}, ["'Times'", "time, value, city", "Did you mean 'time'"]),
    "unparsable time": (_with_times(pa.array(["2024-01-01", "soon", "2024-02-30"])), {}, ["'time'", "'soon'", "2 of 3 values", "ISO 8601"]),
    "impossible date": (_with_times(pa.array(["2024-01-01", "2024-02-30"])), {}, ["'2024-02-30'", "1 of 2 values"]),
    "time of a wrong type": (_with_times(pa.array([True, False])), {}, ["bool values"]),
    "mixed epochs": (_with_times(pa.array([1_700_000_000, 1_700_000_000_000])), {}, ["both 1700000000 and 1700000000000"]),
    "written dates": (_with_times(pa.array([20240101, 20240102])), {}, ["20240101", "YYYYMMDD"]),
    "infinite time": (_with_times(pa.array([1.7e9, float("inf")])), {}, ["infinity is not a time"]),
    "all times null": (_with_times(pa.nulls(3, pa.timestamp("us"))), {}, ["null in all 3 rows"]),
    "unparsable end": (lambda _: None, {"window_end": "yesterday"}, ["window_end 'yesterday'", "ISO time"]),
    "impossible end": (lambda _: None, {"window_end": "20241399000000"}, ["'20241399000000'"]),
    "no days": (lambda _: None, {"window_days": 0}, ["window_days is 0", "at least 1"]),
    "too many days": (lambda _: None, {"window_days": 999_999}, ["999999", "before the year 1"]),
    "negative delay": (lambda _: None, {"label_delay_days": -1}, ["label_delay_days is -1"]),
    "unknown excluded": (lambda _: None, {"excluded_columns": "cty"}, ["'cty'", "Did you mean 'city'"]),
    "excluded time": (lambda _: None, {"excluded_columns": "time"}, ["'time' is the timestamp_column"]),
    "types that do not go together": (
        lambda source: pq.write_table(daily_table().set_column(1, "value", pa.array(["x"] * 10)), source / "b.parquet"),
        {},
        ["column 'value'", "string in source file", "b.parquet", "double in", "a.parquet"],
    ),
    "duplicate names": (lambda source: (source / "b.csv").write_text("time,x,x\n2024-01-01,1,1\n"), {}, ["b.csv", "2 columns named 'x'"]),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_mistake_is_named_and_nothing_is_left(source: Path, tmp_path: Path, case: str) -> None:
    spoil, options, expected = FAILURES[case]
    spoil(source)
    dataset = dsl.Dataset(name="dataset", uri=str(tmp_path / "out" / "dataset"), metadata={})
    with pytest.raises(IngestionError) as caught:
        ingest_data.python_func(dataset=dataset, **{"source_uri": str(source), "timestamp_column": "time", **options})
    for part in expected:
        assert part in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))
    assert not list((tmp_path / "out").glob(".unfinished*"))
    assert dataset.metadata == {}


def test_damage_found_while_rows_are_read_leaves_nothing(source: Path, tmp_path: Path) -> None:
    content = bytearray((source / "a.parquet").read_bytes())
    column = pq.ParquetFile(source / "a.parquet").metadata.row_group(0).column(2)
    place = column.dictionary_page_offset
    content[place : place + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    (source / "a.parquet").write_bytes(content)
    with pytest.raises(IngestionError, match=r"a\.parquet.*cannot be read as Parquet"):
        ingest_window(tmp_path / "out" / "dataset", source_uri=str(source), timestamp_column="time")
    assert not list((tmp_path / "out").iterdir())


def test_the_component_describes_the_dataset_and_records_the_step(source: Path, tmp_path: Path) -> None:
    dataset = dsl.Dataset(name="dataset", uri=str(tmp_path / "dataset"), metadata={})
    ledger = str(tmp_path / "ledger")
    end = ingest_data.python_func(
        dataset=dataset, source_uri=str(source), timestamp_column="time", window_days=4, ledger_uri=ledger, run_id="r1", step_name="ingest_window"
    )
    manifest = manifest_of(dataset)
    assert manifest is not None
    assert (end, dataset.metadata["rows"], manifest.window["start"]) == ("2024-01-11T00:00:00Z", 4, "2024-01-07T00:00:00Z")
    (record,) = read_run(open_store(ledger), "r1")
    assert (record.step_name, record.state) == ("ingest_window", "succeeded")
    assert record.details["rows_without_time"] == 0
    assert record.details["fingerprint"] == manifest.fingerprint == dataset.metadata["fingerprint"]


@pytest.mark.parametrize(
    ("decided", "options", "start"),
    [
        ({"decision": "retrain", "training_since": "2024-01-03T00:00:00Z"}, {}, "2024-01-03T00:00:00Z"),
        ({"decision": "retrain", "training_since": "2024-01-03T12:00:00Z"}, {}, "2024-01-04T00:00:00Z"),
        ({"decision": "retrain", "training_since": "2024-01-03T00:00:00Z"}, {"label_delay_days": 2}, "2024-01-03T00:00:00Z"),
        (
            {"decision": "retrain", "training_since": "2024-01-03T00:00:00Z", "window_end": "2024-01-11T00:00:00Z"},
            {"window_end": "latest"},
            "2024-01-03T00:00:00Z",
        ),
        ({"decision": "retrain", "training_since": "2024-01-09T00:00:00Z"}, {}, "2024-01-07T00:00:00Z"),
        ({"decision": "retrain", "training_since": ""}, {}, "2024-01-07T00:00:00Z"),
        ({"decision": "retrain"}, {}, "2024-01-07T00:00:00Z"),
    ],
    ids=["longer", "whole days", "label delay", "latest", "shorter is not", "no time", "an older decision"],
)
def test_a_decision_lengthens_the_window(source: Path, tmp_path: Path, decided: dict[str, str], options: dict[str, Any], start: str) -> None:
    (tmp_path / "decision.json").write_text(json.dumps(decided))
    dataset, decision = (kind(name="x", uri=str(tmp_path / name), metadata={}) for kind, name in ((dsl.Dataset, "dataset"), (dsl.Artifact, "decision.json")))
    asked = {"window_end": "2024-01-11", "window_days": 4, **options}
    ingest_data.python_func(dataset=dataset, source_uri=str(source), timestamp_column="time", decision=decision, **asked)
    manifest = manifest_of(dataset)
    assert manifest is not None
    assert manifest.window["start"] == start


def test_ingestion_does_not_import_pandas(source: Path, tmp_path: Path) -> None:
    (source / "b.csv").write_text("time,value,city\n1704067200,1.5,Oslo\n")
    code = (
        "import sys; from pathlib import Path; from evergreen.ingestion.windowing import ingest_window;"
        f"ingest_window(Path({str(tmp_path / 'd')!r}), source_uri={str(source)!r}, timestamp_column='time', window_end='2024-01-31');"
        "sys.exit('pandas' in sys.modules or 'kfp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
