"""The SQL source against a real PostgreSQL server (Debian's package), started and stopped here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.window_query import WindowQuery
from evergreen.ingestion.windowing import IngestedWindow, ingest_window
from support.faulty_server import FaultyConnection
from support.postgresql_server import postgresql

pytestmark = pytest.mark.postgresql

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., tuple[Any, IngestedWindow]]:
    def run(uri: str, **options: Any) -> tuple[Any, IngestedWindow]:
        ingested = ingest_window(tmp_path / "out", source_uri=uri, **{"timestamp_column": "time", "window_days": 3, **options})
        return pq.read_table(tmp_path / "out"), ingested

    return run


def fill(url: str, table: str, kind: str, rows: int = 10, schema: str = "public") -> str:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        connection.execute(sa.text(f'DROP TABLE IF EXISTS "{schema}"."{table}"'))
        columns = "value double precision, price numeric(10, 2), truth boolean, tags jsonb, day date"
        connection.execute(sa.text(f'CREATE TABLE "{schema}"."{table}" (time {kind}, {columns})'))
        for day in range(rows):
            moment = START + timedelta(days=day)
            values = {"time": moment if kind != "bigint" else int(moment.timestamp()), "value": float(day), "day": moment.date()}
            connection.execute(sa.text(f'INSERT INTO "{schema}"."{table}" VALUES (:time, :value, 1.25, true, \'{{}}\', :day)'), values)
    engine.dispose()
    return f"{url}#{schema}.{table}"


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date", "bigint"])
def test_a_window_of_a_table(server: str, ingest: Callable[..., Any], kind: str) -> None:
    table, ingested = ingest(fill(server, f"events_{kind}", kind, schema="measured"))
    assert table["value"].to_pylist() == [7.0, 8.0, 9.0]
    assert (table["price"][0].as_py(), table["truth"][0].as_py(), table["day"][0].as_py()) == (1.25, True, START.date() + timedelta(days=7))
    assert ingested.window_end == "2024-01-11T00:00:00Z"
    assert "hunter2" not in ingested.manifest.source_uri + ingested.manifest.objects[0]["uri"]
    assert ingest(fill(server, f"again_{kind}", kind))[1].manifest.fingerprint == ingested.manifest.fingerprint


def test_the_query_is_bounded_and_its_values_are_parameters(server: str, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    uri = fill(server, "bounded", "timestamptz", rows=100)
    statements: list[tuple[str, Any]] = []
    create = sa.create_engine

    def watched(url: str, **options: Any) -> Any:
        engine = create(url, **options)
        sa.event.listen(engine, "before_cursor_execute", lambda *event: statements.append((event[2], event[3])))
        return engine

    monkeypatch.setattr(sa, "create_engine", watched)
    ingest(uri, window_end="2024-02-01")
    (reading,) = [(text, values) for text, values in statements if "ORDER BY" in text and "FROM public.bounded" in text]
    assert "2024" not in reading[0]
    assert sorted(value.date().isoformat() for value in dict(reading[1]).values()) == ["2024-01-28", "2024-02-03"]


def test_a_hostile_name_is_only_a_name(server: str, ingest: Callable[..., Any]) -> None:
    uri = fill(server, "victim", "timestamptz")
    with pytest.raises(IngestionError, match="has no column"):
        ingest(uri, timestamp_column='time"; DROP TABLE victim; --')
    assert ingest(uri)[0].num_rows == 3


def test_no_message_holds_the_password(server: str, ingest: Callable[..., Any]) -> None:
    with pytest.raises(IngestionError, match="contains no rows of") as caught:
        ingest(fill(server, "elsewhere", "timestamptz"), window_end="2024-01-11T18:00:00Z", window_days=1)
    assert "hunter2" not in str(caught.value)


def test_no_right_to_select_is_named(server: str, ingest: Callable[..., Any]) -> None:
    uri = fill(server, "closed", "timestamptz")
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP ROLE IF EXISTS guest"))
        connection.execute(sa.text("CREATE ROLE guest LOGIN"))
    engine.dispose()
    with pytest.raises(IngestionError, match="permission denied for table closed"):
        ingest(uri.replace("postgres:hunter2", "guest:hunter2"))


def test_a_large_table_is_streamed(server: str, ingest: Callable[..., Any]) -> None:
    engine = sa.create_engine(server)
    moments = "timestamptz '2024-01-01Z' + n * interval '1 second'"
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS large"))
        connection.execute(sa.text(f"CREATE TABLE large AS SELECT {moments} AS time, n AS value FROM generate_series(0, 99999) n"))
    engine.dispose()
    table, _ = ingest(f"{server}#large")
    assert table.num_rows == 100_000
    assert table["value"].to_pylist() == list(range(100_000))


@pytest.fixture
def dropped(server: str) -> Iterator[tuple[FaultyConnection, str]]:
    """A connection that can fail, and the server's URL through it."""
    port = sa.make_url(server).port
    assert port is not None
    connection = FaultyConnection("127.0.0.1", port)
    yield connection, server.replace(f":{port}/", f":{connection.port}/")
    connection.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("fault", ["cut in the middle", "away", "ended by its administrator"])
def test_a_database_that_fails_is_waited_for_and_each_row_comes_once(
    server: str, dropped: tuple[FaultyConnection, str], ingest: Callable[..., Any], fault: str, request: pytest.FixtureRequest
) -> None:
    (connection, url), capfd = dropped, request.getfixturevalue("capfd")
    fill(server, "outage", "timestamptz", rows=1000)
    if fault == "away":
        connection.go_away(1)
    elif fault == "cut in the middle":
        connection.cut_after(30_000)
    else:
        _end_the_first_session(server, request.getfixturevalue("monkeypatch"))
    table, _ = ingest(f"{url}#public.outage", window_days=3000)
    assert sorted(table["value"].to_pylist()) == [float(day) for day in range(1000)]
    told = capfd.readouterr().err
    assert "hunter2" not in told
    lines = [line for line in told.splitlines() if line.startswith("Waiting for ")]
    assert lines
    assert all(line.startswith("Waiting for the database postgresql+psycopg://127.0.0.1:") for line in lines)


def _end_the_first_session(server: str, patch: pytest.MonkeyPatch) -> None:
    """End the next session before it reads its rows, as a restart of the server does."""
    original, ended = WindowQuery.write_rows, list[Any]()

    def write_rows(self: WindowQuery, target: Path) -> int:
        if not ended:
            engine = sa.create_engine(server)
            with engine.connect() as connection:
                question = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                ended.extend(connection.execute(sa.text(question)).all())
            engine.dispose()
        return original(self, target)

    patch.setattr(WindowQuery, "write_rows", write_rows)


def test_a_wrong_database_is_one_message_at_once(server: str, ingest: Callable[..., Any]) -> None:
    started = time.monotonic()
    with pytest.raises(IngestionError, match=r'the database rejected the query: .*database "absent" does not exist'):
        ingest(f"{server.rpartition('/')[0]}/absent#events")
    assert time.monotonic() - started < 5
