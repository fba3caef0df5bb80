"""Broken and odd sources: each ends in the right rows with what was left out counted, or in one clear error."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.ingestion import json_lines as json_lines_module
from evergreen.ingestion import windowing
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.progress import reported_progress
from ingestion.conftest import START, daily_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "time,value,city\n"


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode() + b"\n"


def daily_rows() -> list[dict[str, Any]]:
    return [{**row, "time": row["time"].isoformat()} for row in daily_table().to_pylist()]


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_give_the_same_rows_as_parquet(tmp_path: Path, ingest: Callable[..., Any], packed: bool) -> None:
    content = json_lines(daily_rows())
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / ("a.jsonl.gz" if packed else "a.ndjson")).write_bytes(gzip.compress(content) if packed else content)
    assert ingest(folder)[0].equals(daily_table().replace_schema_metadata(None))


def test_types_of_json_lines_are_decided_by_all_rows(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    rows = [{"time": 1_704_067_200 + second, "number": second, "text": "2024-01-01 00:00:00", "padding": "x" * 60} for second in range(60_000)]
    (tmp_path / "a.jsonl").write_bytes(json_lines([*rows, {"time": 1_704_067_200, "number": 0.5, "text": "soon", "rare": True}]))
    table, _ = ingest(tmp_path / "a.jsonl", excluded_columns="padding")
    assert [(name, str(kind)) for name, kind in zip(table.column_names, table.schema.types, strict=True)] == [
        ("time", "timestamp[us, tz=UTC]"),
        ("number", "double"),
        ("text", "string"),
        ("rare", "bool"),
    ]
    assert table.num_rows == 60_001
    assert table.slice(60_000).to_pylist()[0]["text"] == "soon"


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + f"{HEADER}2024-01-01,1,Oslo\n".encode())
    assert ingest(tmp_path / "a.csv")[0].column_names == ["time", "value", "city"]


def test_mixed_types_in_a_csv_column_are_text_without_loss(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}2024-01-01,1,Oslo\n2024-01-02,n/k,Rome\n2024-01-03,3.5,Rome\n")
    assert ingest(tmp_path / "a.csv")[0]["value"].to_pylist() == ["1", "n/k", "3.5"]


def test_times_in_mixed_zones_are_one_order(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_text("time,x\n2024-01-01T23:30:00-05:00,1\n2024-01-02T01:00:00+09:00,2\n2024-01-02T00:00:00,3\n")
    times = ingest(tmp_path / "a.csv")[0]["time"].to_pylist()
    expected = [datetime(2024, 1, 2, 4, 30), datetime(2024, 1, 1, 16), datetime(2024, 1, 2)]  # noqa: DTZ001  # the zone follows
    assert times == [time.replace(tzinfo=timezone.utc) for time in expected]


def test_files_with_seconds_and_with_milliseconds_go_together(source: Path, ingest: Callable[..., Any]) -> None:
    epoch = int(START.timestamp())
    pq.write_table(daily_table(2).set_column(0, "time", pa.array([epoch, epoch + 1])), source / "b.parquet")
    pq.write_table(daily_table(2).set_column(0, "time", pa.array([epoch * 1000 + 2000, epoch * 1000 + 3000])), source / "c.parquet")
    times = ingest(source)[0]["time"].to_pylist()[10:]
    assert times == [START + timedelta(seconds=second) for second in range(4)]


def test_latest_does_not_follow_a_date_in_the_far_future(source: Path, ingest: Callable[..., Any]) -> None:
    pq.write_table(daily_table(2, start=datetime(2999, 1, 1, 5, tzinfo=timezone.utc)), source / "b.parquet")
    table, ingested = ingest(source, window_days=3)
    assert (table["value"].to_pylist(), ingested.window_end) == ([7.0, 8.0, 9.0], "2024-01-11T00:00:00Z")
    assert ingested.details()["rows_in_future"] == 2
    assert ingest(source, window_end="2999-01-02T06:00:00Z", window_days=2)[0].num_rows == 2


def test_only_future_dates_are_refused_for_latest(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    pq.write_table(daily_table(2, start=datetime(2999, 1, 1, tzinfo=timezone.utc)), tmp_path / "a.parquet")
    with pytest.raises(IngestionError, match=r"all 2 event times in 'time' are more than a day in the future \(the oldest is 2999-01-01"):
        ingest(tmp_path / "a.parquet")


def test_an_empty_partition_is_no_obstacle(source: Path, ingest: Callable[..., Any]) -> None:
    (source / "day=2024-01-11").mkdir()
    pq.write_table(daily_table(0), source / "day=2024-01-11" / "part-00000")
    (source / "empty.csv").write_text(HEADER)
    assert ingest(source)[0].num_rows == 10


def test_many_small_files_are_all_read(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(300):
        (folder / f"{index:05d}.csv").write_text(f"{HEADER}{START + timedelta(hours=index):%Y-%m-%dT%H:%M},{index},Oslo\n")
    table, ingested = ingest(folder)
    assert table["value"].to_pylist() == list(range(300))
    assert len(ingested.manifest.objects) == 300


def test_strings_of_a_megabyte_arrive_whole(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    texts = [letter * 1_000_000 for letter in "abcdefgh"]
    table = daily_table(8).append_column("document", pa.array(texts))
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_bytes(json_lines([{**row, "time": row["time"].isoformat()} for row in table.to_pylist()]))
    (tmp_path / "c.csv").write_text("time,document\n" + "".join(f"2024-01-0{index + 1},{text}\n" for index, text in enumerate(texts)))
    for name in ("a.parquet", "b.jsonl", "c.csv"):
        assert ingest(tmp_path / name)[0]["document"].to_pylist() == texts


TEXT_FAILURES = {
    "ragged rows": (b"time,x\n2024-01-01,1\n2024-01-02,1,2\n", r"cannot be read as CSV: .*Expected 2 columns, got 3"),
    "wrong delimiter": (b"time:x\n2024-01-01:1\n", r"has no such column. Valid columns: time:x\."),
    "Latin-1 at the start": ("time,city\n2024-01-01,Zürich\n".encode("latin-1"), r"not encoded as UTF-8 \(found the byte 0xfc\).*iconv -f WINDOWS-1252"),
    "Latin-1 far below": (b"time,city\n" + b"2024-01-01,Bern\n" * 5000 + "2024-01-02,Zürich\n".encode("latin-1"), "not encoded as UTF-8"),
    "UTF-16": ("time,city\n2024-01-01,Bern\n".encode("utf-16"), "is encoded as UTF-16; expected UTF-8"),
    "cut-off gzip": (gzip.compress(b"time,x\n" + os.urandom(9000).hex().encode())[:-200], "cannot be read as CSV"),
    "broken JSON": (b'{"time": "2024-01-01"}\n{"time": \n', "cannot be read as JSON Lines"),
    "JSON of two kinds": (
        b'{"time": "2024-01-01", "x": 1}\n{"time": "2024-01-02", "x": "one"}\n',
        "JSON Lines.*changed from number to string",
    ),
    "JSON without times": (b'{"x": 1}\n', "has no such column. Valid columns: x"),
}


@pytest.mark.parametrize("case", TEXT_FAILURES)
def test_text_that_cannot_be_read_is_one_clear_error(tmp_path: Path, ingest: Callable[..., Any], case: str) -> None:
    content, expected = TEXT_FAILURES[case]
    (tmp_path / "b.csv").write_bytes(content)
    with pytest.raises(IngestionError, match=rf"(?s)b\.csv.*{expected}"):
        ingest(tmp_path / "b.csv")
    assert not list(tmp_path.glob("out/*"))


def test_json_whose_blocks_disagree_is_refused(tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines_module, "_BLOCK_BYTES", 10)
    (tmp_path / "a.jsonl").write_bytes(json_lines([{"time": "2024-01-01", "x": 1}, {"time": "2024-01-02", "x": "one"}]))
    with pytest.raises(IngestionError, match=r"column 'x' holds int64 in some lines and string in others"):
        ingest(tmp_path / "a.jsonl")


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_a_local_file_that_changes_during_the_read_is_noticed(
    source: Path, tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    original = windowing.scan_times

    def meddling(files: Any, **options: Any) -> Any:
        scanned = original(files, **options)
        file = source / "a.parquet"
        content = file.read_bytes()
        file.unlink()
        if change == "replaced":
            file.write_bytes(content)
        return scanned

    monkeypatch.setattr(windowing, "scan_times", meddling)
    with pytest.raises(IngestionError, match=r"a\.parquet(' | was replaced or deleted|: cannot be read)"):
        ingest(source)
    assert not list(tmp_path.glob("out/*"))


def test_progress_is_quiet_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with reported_progress("Reading", 10) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")
