from __future__ import annotations

import sqlite3
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.ingestion.errors import IngestionError
from ingestion.conftest import START, daily_table

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = int(START.timestamp())

FORMS: dict[str, Callable[[int], Any]] = {
    "TEXT": lambda day: f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}",
    "DATETIME": lambda day: f"{START + timedelta(days=day):%Y-%m-%d %H:%M:%S.%f}",
    "DATE": lambda day: f"{START + timedelta(days=day):%Y-%m-%d}",
    "INTEGER": lambda day: EPOCH + day * 86_400,
    "BIGINT": lambda day: (EPOCH + day * 86_400) * 1000,
    "REAL": lambda day: float(EPOCH + day * 86_400),
}


def database(path: Path, kind: str = "TEXT", *, days: int = 10, extra: list[Any] | None = None, time_column: str = "time", table: str = "events") -> str:
    form = FORMS[kind]
    with sqlite3.connect(path) as connection:
        quoted = '"' + time_column.replace('"', '""') + '"'
        connection.execute(f'CREATE TABLE "{table}" ({quoted} {kind}, value REAL, city TEXT, secret INTEGER)')
        rows = [(form(day), float(day), ["Oslo", "Rome"][day % 2], day) for day in range(days)]
        connection.executemany(f'INSERT INTO "{table}" VALUES (?, ?, ?, ?)', [*rows, *((moment, -1.0, "Bern", 0) for moment in extra or [])])
    connection.close()
    return f"sqlite:///{path}#{table}"


@pytest.mark.parametrize("kind", FORMS)
def test_any_form_of_time_gives_the_same_rows_as_a_file(tmp_path: Path, ingest: Callable[..., Any], kind: str) -> None:
    table, ingested = ingest(database(tmp_path / "d.sqlite", kind), window_days=3, excluded_columns="secret")
    assert table.equals(daily_table()[7:].replace_schema_metadata(None))
    assert ingested.window_end == "2024-01-11T00:00:00Z"
    assert ingested.manifest.objects[0]["uri"] == f"sqlite:///{tmp_path}/d.sqlite#events"


def test_an_end_and_a_label_delay_bound_the_query(tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from evergreen.ingestion.sources import window_query

    written: list[int] = []
    original = window_query.WindowQuery.write_rows
    monkeypatch.setattr(window_query.WindowQuery, "write_rows", lambda self, target: written.append(original(self, target)) or written[-1])
    uri = database(tmp_path / "d.sqlite", days=2000)
    table, ingested = ingest(uri, window_end="2025-01-01T12:00:00Z", window_days=5, label_delay_days=2)
    assert ingested.manifest.window == {"start": "2024-12-25T12:00:00Z", "end": "2024-12-30T12:00:00Z"}
    assert table["value"].to_pylist() == [360.0, 361.0, 362.0, 363.0, 364.0]
    assert 5 <= written[0] <= 9
    ingest(uri, window_end="latest", window_days=5, label_delay_days=2)
    assert 7 <= written[1] <= 10


def test_more_rows_than_one_batch(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    with sqlite3.connect(tmp_path / "d.sqlite") as connection:
        connection.execute("CREATE TABLE t (time INTEGER, value INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ((EPOCH + second, second) for second in range(50_001)))
    connection.close()
    table, _ = ingest(f"sqlite:///{tmp_path}/d.sqlite#t", window_days=2)
    assert sorted(table["value"].to_pylist()) == list(range(50_001))


def test_names_with_quotes_and_statements_are_only_names(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    hostile = 'time"; DROP TABLE events; --'
    uri = database(tmp_path / "d.sqlite", time_column=hostile)
    assert ingest(uri, timestamp_column=hostile)[0].num_rows == 10
    for parameter, value in (("timestamp_column", "1; DROP TABLE events"), ("excluded_columns", 'city" FROM events; DROP TABLE events; --')):
        with pytest.raises(IngestionError, match=f"{parameter}: .* has no column .*Valid columns: "):
            ingest(uri, **{"timestamp_column": hostile, parameter: value})
    with pytest.raises(IngestionError, match="Unknown table or view"):
        ingest(f"{uri}; DROP TABLE events")
    with sqlite3.connect(tmp_path / "d.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (10,)
    connection.close()


def test_rows_without_time_and_from_the_future_are_counted(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    table, ingested = ingest(database(tmp_path / "d.sqlite", extra=[None, None, "2999-01-01T00:00:00Z"]), window_days=3)
    assert table.num_rows == 3
    assert ingested.details()["skipped"] == {"rows without event time": 2, "rows in the future": 1}


def test_decimals_booleans_bytes_and_untyped_columns(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    with sqlite3.connect(tmp_path / "d.sqlite") as connection:
        connection.execute("CREATE TABLE t (time TEXT, price DECIMAL(10, 2), truth BOOLEAN, content BLOB, anything, day DATE)")
        connection.execute("INSERT INTO t VALUES ('2024-01-01', 1.25, 1, x'00ff', 7, '2024-02-30?')")
    connection.close()
    table, _ = ingest(f"sqlite:///{tmp_path}/d.sqlite#t")
    assert table.drop_columns(["time"]).to_pylist() == [{"price": 1.25, "truth": True, "content": b"\x00\xff", "anything": "7", "day": "2024-02-30?"}]


def test_the_url_may_come_from_the_environment(tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_DATABASE_URL", database(tmp_path / "d.sqlite").partition("#")[0])
    _, ingested = ingest("env:EVERGREEN_DATABASE_URL#events")
    assert ingested.manifest.source_uri == ingested.manifest.objects[0]["uri"] == "env:EVERGREEN_DATABASE_URL#events"


NO_ROWS = (
    r"no rows near the window \[2007-04-07T00:00:00Z, 2010-01-01T00:00:00Z\)\. Its newest event in 'time' is at 2024-01-10T00:00:00Z; .* range from "
    r"2024-01-01T00:00:00Z to .*Set data_window_end to 'latest'"
)

FAILURES = {
    "no table": ("sqlite:///{}", {}, "has no table; expected the table after a '#'"),
    "unknown table": ("sqlite:///{}#event", {}, r"Unknown table or view 'event'.*Did you mean 'events'"),
    "unknown column": ("sqlite:///{}#events", {"timestamp_column": "tme"}, r"no column 'tme'.*Did you mean 'time'"),
    "variable not set": ("env:NOT_SET_DATABASE_URL#events", {}, "environment variable 'NOT_SET_DATABASE_URL' is not set"),
    "variable of something else": ("env:EVERGREEN_APPROVAL_KEY#events", {}, "is not allowed: expected EVERGREEN_DATABASE_URL"),
    "no URL": ("sqlite+nothing://{}#events", {}, "is not an SQLAlchemy URL"),
    "window elsewhere": ("sqlite:///{}#events", {"window_end": "2010-01-01"}, NO_ROWS),
    "unreachable": (
        "postgresql+psycopg://user:hunter2@127.0.0.1:1/db#events",
        {},
        r"postgresql\+psycopg://127.*the database cannot be reached: gave up after \d+ attempts in .* s; .*connection.* failed",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_mistakes_are_named_without_the_password(tmp_path: Path, ingest: Callable[..., Any], case: str) -> None:
    uri, options, expected = FAILURES[case]
    database(tmp_path / "d.sqlite")
    with pytest.raises(IngestionError, match=expected) as caught:
        ingest(uri.format(tmp_path / "d.sqlite"), **options)
    assert "hunter2" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


def test_a_window_without_rows_between_others_names_the_newest_event_of_the_whole_table(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    uri = database(tmp_path / "d.sqlite", extra=["2026-05-01 00:00:00"])
    with pytest.raises(IngestionError, match=r"contains no rows of .* whose newest event in 'time' is at 2026-05-01T00:00:00Z; .*'latest'"):
        ingest(uri, window_end="2024-01-11T12:00:00Z", window_days=1)


def test_an_empty_table_and_a_value_of_another_type_are_refused(tmp_path: Path, ingest: Callable[..., Any]) -> None:
    with pytest.raises(IngestionError, match="has no event time in 'time'"):
        ingest(database(tmp_path / "empty.sqlite", days=0))
    uri = database(tmp_path / "d.sqlite")
    with sqlite3.connect(tmp_path / "d.sqlite") as connection:
        connection.execute("UPDATE events SET secret = 'x' WHERE secret = 5")
    connection.close()
    with pytest.raises(IngestionError, match="column 'secret' holds a value that is not int64"):
        ingest(uri)


def test_a_missing_driver_names_the_extra(ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(IngestionError, match=r"needs the Python package psycopg.*kfp-evergreen\[postgresql\]"):
        ingest("postgresql+psycopg://localhost/db#events")


@pytest.mark.usefixtures("patient")
def test_a_locked_database_is_waited_for(tmp_path: Path, ingest: Callable[..., Any], capfd: pytest.CaptureFixture[str]) -> None:
    uri = database(tmp_path / "d.sqlite")
    holder = sqlite3.connect(tmp_path / "d.sqlite", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    released = threading.Timer(1.5, holder.close)
    released.start()
    table, _ = ingest(uri.replace("#", "?timeout=0.1#"))
    released.join()
    assert table.num_rows == 10
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Waiting for ")]
    assert lines
    assert all(line.startswith(f"Waiting for the database sqlite:///{tmp_path}/d.sqlite") and "database is locked" in line for line in lines)


@pytest.mark.usefixtures("patient")
def test_a_connection_that_drops_in_the_middle_gives_each_row_once(tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    from evergreen.ingestion.sources.window_query import WindowQuery

    original, drops = WindowQuery.write_rows, [1, 2]

    def dropped(self: WindowQuery, target: Path) -> int:
        rows = original(self, target)
        if drops:
            drops.pop()
            raise OperationalError("SELECT", {}, RuntimeError("gone"), connection_invalidated=True)
        return rows

    monkeypatch.setattr(WindowQuery, "write_rows", dropped)
    table, _ = ingest(database(tmp_path / "d.sqlite"))
    assert table["value"].to_pylist() == [float(day) for day in range(10)]
    assert drops == []
