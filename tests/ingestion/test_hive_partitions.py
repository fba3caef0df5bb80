"""Columns that stand in the names of folders."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from evergreen.ingestion.errors import IngestionError
from ingestion.conftest import START, daily_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def put(folder: Path, name: str, table: pa.Table) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".csv"):
        pacsv.write_csv(table, path)
    elif name.endswith(".jsonl"):
        path.write_text("".join(f'{{"time": "{row["time"]:%Y-%m-%dT%H:%M:%SZ}", "value": {row["value"]}}}\n' for row in table.to_pylist()))
    else:
        pq.write_table(table, path)
    return path


@pytest.mark.parametrize("end", ["parquet", "csv", "jsonl"])
def test_folders_become_columns_whatever_the_format(tmp_path: Path, ingest: Callable[..., Any], end: str) -> None:
    put(tmp_path, f"s/year=2023/month=12/part.{end}", daily_table(2, start=START - timedelta(days=2)))
    put(tmp_path, f"s/year=2024/month=01/part.{end}", daily_table(3))
    table, ingested = ingest(tmp_path / "s")
    assert table.column("year").to_pylist() == [2023] * 2 + [2024] * 3
    assert table.column("month").to_pylist() == [12] * 2 + [1] * 3
    assert {name: ingested.manifest.schema[name] for name in ("year", "month")} == {"year": "int64", "month": "int64"}


def test_what_pyarrow_writes_is_read_as_pyarrow_reads_it(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    table = daily_table(4, region=pa.array(["a b", "c/d", None, "e=f"]), store=pa.array([7, 7, 8, 8]))
    partitioning = pads.partitioning(pa.schema([("region", pa.string()), ("store", pa.int64())]), flavor="hive")
    pads.write_dataset(table, tmp_path / "s", format="parquet", partitioning=partitioning)
    expected = pads.dataset(tmp_path / "s", partitioning="hive").to_table().sort_by("time").to_pydict()
    read = ingest(tmp_path / "s")[0].sort_by("time").to_pydict()
    assert read == expected
    assert read["region"] == ["a b", "c/d", None, "e=f"]


def test_a_glob_and_one_file_have_the_same_columns_as_the_folder(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    path = put(tmp_path, "s/year=2024/part.parquet", daily_table(3))
    found = {ingest(source)[1].manifest.fingerprint for source in (tmp_path / "s", tmp_path / "s/year=2024", f"{tmp_path}/s/year=*/*.parquet", path)}
    assert len(found) == 1


def test_values_that_are_not_all_numbers_are_text_and_the_default_is_null(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    for day, folder in enumerate(("version=2", "version=2b", "version=__HIVE_DEFAULT_PARTITION__", "other")):
        put(tmp_path, f"s/{folder}/part.parquet", daily_table(1, start=START + timedelta(days=day)))
    read = ingest(tmp_path / "s")[0].sort_by("time")
    assert read.column("version").to_pylist() == ["2", "2b", None, None]


@pytest.mark.parametrize("end", ["parquet", "csv", "jsonl"])
def test_the_event_time_may_stand_in_the_folder_and_other_folders_are_not_read(
    tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    from evergreen.ingestion import window_rows

    for day in range(4):
        put(tmp_path, f"s/day={START + timedelta(days=day):%Y-%m-%d}/part.{end}", daily_table(2))
    read: list[str] = []
    original = window_rows.read_rows

    def counting(portion: Any, columns: Any) -> Any:
        read.append(portion.file.path.parent.name)
        return original(portion, columns)

    monkeypatch.setattr(window_rows, "read_rows", counting)
    table, ingested = ingest(tmp_path / "s", timestamp_column="day", window_days=2)
    assert set(table.column("day").to_pylist()) == {datetime(2024, 1, 3, tzinfo=timezone.utc), datetime(2024, 1, 4, tzinfo=timezone.utc)}
    assert (table.num_rows, ingested.window_end, read) == (4, "2024-01-05T00:00:00Z", ["day=2024-01-03", "day=2024-01-04"])


@pytest.mark.parametrize("values", [pa.array([2024] * 3, pa.int16()), pa.array(["2024"] * 3), pa.array(["2024"] * 3).dictionary_encode()])
def test_a_column_that_agrees_with_its_folder_stays(tmp_path: Path, ingest: Callable[..., Any], values: pa.Array) -> None:
    put(tmp_path, "s/year=2024/part.parquet", daily_table(3, year=values))
    table = ingest(tmp_path / "s")[0]
    assert table.column_names.count("year") == 1
    assert {str(value) for value in table.column("year").to_pylist()} == {"2024"}


@pytest.mark.parametrize(
    ("values", "shown"),
    [(pa.array([2024, 2023, 2024]), "2023"), (pa.array([2024, None, 2024]), "None"), (pa.array([True] * 3), "True"), (pa.array(["x"] * 3), "'x'")],
    ids=["another value", "a missing value", "another type", "text"],
)
def test_a_column_that_contradicts_its_folder_is_an_error(tmp_path: Path, ingest: Callable[..., Any], values: pa.Array, shown: str) -> None:
    put(tmp_path, "s/year=2024/part.parquet", daily_table(3, year=values))
    with pytest.raises(IngestionError, match=rf"column 'year': .*year%3D2024/part\.parquet has the value {shown}, but its folder name says '2024'"):
        ingest(tmp_path / "s")
    assert not (tmp_path / "out" / "dataset").exists()
    assert "year" not in ingest(tmp_path / "s", excluded_columns="year")[0].column_names


def test_folders_that_contradict_each_other_are_an_error(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    put(tmp_path, "s/year=2024/year=2025/part.parquet", daily_table(3))
    with pytest.raises(IngestionError, match="specify two values for column 'year', '2024' and '2025'"):
        ingest(tmp_path / "s")
