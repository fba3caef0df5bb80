"""Names that come from outside stay names: they leave no folder, no query, no filter and no address."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote_plus

import kfp_server_api as api
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evergreen.errors import StateError
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.opening import open_bucket_source
from evergreen.ingestion.sources.sql import SqlSource
from evergreen.ingestion.window_history import WindowHistory
from evergreen.registry.ledger import Ledger, folder_name
from evergreen.runs.records import checked_id
from evergreen.storage.google_cloud import open_bucket
from evergreen.storage.local import LocalStore
from evergreen.storage.s3 import S3Store
from evergreen.submission.connection import connect
from evergreen.submission.server_pipelines import equals, find_pipeline, require_pipeline
from evergreen.trigger.events import Event
from evergreen.trigger.launching import event_mark
from ingestion.conftest import ONE_DAY
from submission.kfp_server import KfpServer

HOSTILE = [
    "..",
    "../..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..\\..",
    "a\0b",
    "%2e%2e%2f",
    "a' OR 1=1 --",
    'x"; DROP TABLE events; --',
    "{{evil}}",
    "$(id)",
    "\U0001d4ca",
    "con",
    "",
]
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60), st.text(alphabet="./\\%:'\"#? ab", max_size=30))

model_names = names.filter(lambda name: bool(name.strip()) and not re.search(r"[\ud800-\udfff]", name))


def files_outside(inner: Path) -> list[Path]:
    """Return what was written beside the folder that everything belongs in."""
    return [path for path in inner.parent.rglob("*") if path != inner and inner not in path.parents]


@given(model_names, model_names)
def test_a_models_folder_is_its_own(first: str, second: str) -> None:
    folder = folder_name(first)
    assert re.fullmatch(r"[^/\\\0]{1,255}", folder)
    assert folder not in {".", ".."}
    assert (folder == folder_name(second)) == (first == second)


@settings(max_examples=60, deadline=None)
@given(model_names)
def test_a_model_of_any_name_is_kept_inside_the_ledger(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "ledger"
        store = LocalStore(str(inner))
        assert Ledger(store, name).records() == []
        assert WindowHistory(store, name, "ingest_window").records() == []
        assert store.create(f"ledger/{folder_name(name)}/1.json", b"{}")
        assert files_outside(inner) == []


@settings(max_examples=100, deadline=None)
@given(names)
def test_an_object_of_any_name_lies_inside_its_store_or_is_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "store"
        store = LocalStore(str(inner))
        try:
            store.write(name, b"x")
        except StateError:
            assert not inner.exists() or not [path for path in inner.rglob("*") if path.is_file()]
        assert files_outside(inner) == []


@settings(max_examples=60, deadline=None)
@given(names)
@example("bucket?alt=media")
@example("bucket#x")
@example("a..b")
@example("bucket%2Fo")
def test_a_bucket_of_any_name_is_one_part_of_an_address_or_is_refused(name: str) -> None:
    bucket = name.partition("/")[0]
    plain = re.fullmatch(r"[A-Za-z0-9._-]+", bucket) is not None and ".." not in bucket
    for open_it, error in ((open_bucket, StateError), (S3Store, StateError), (open_bucket_source, IngestionError)):
        uri = f"{'s3' if open_it is S3Store else 'gs'}://{name}"
        with patch.dict(os.environ, {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "us-east-1"}):
            try:
                open_it(uri)
            except error:
                continue
        assert plain, f"{uri} was accepted"


@given(names)
@example("a" * 201)
def test_a_runs_id_is_one_part_of_a_path_or_is_refused(identifier: str) -> None:
    try:
        accepted = checked_id(identifier)
    except StateError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", accepted)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "events.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (time TEXT, value REAL)")
        connection.execute("INSERT INTO events VALUES ('2024-01-01', 1.0)")
        connection.execute("CREATE TABLE other (time TEXT, value REAL)")
    return path


@settings(max_examples=60, deadline=None)
@given(names.filter(lambda name: name.lower() not in {"events", "other", "main.events", "main.other", ".events", ".other"}))
def test_a_table_of_any_name_is_looked_up_and_never_run(database: Path, name: str) -> None:
    before = database.read_bytes()
    with tempfile.TemporaryDirectory() as folder, pytest.raises(IngestionError):
        SqlSource(f"sqlite:///{database}#{name}").fetch(ONE_DAY, Path(folder))
    assert database.read_bytes() == before


@given(names, names)
def test_a_filter_holds_a_name_and_nothing_of_it_as_syntax(key: str, value: str) -> None:
    (predicate,) = json.loads(unquote_plus(equals(key, value)))["predicates"]
    assert predicate == {"operation": "EQUALS", "key": key, "stringValue": value}


def test_a_pipeline_of_any_name_is_not_another_one() -> None:
    with KfpServer() as server:
        connection = connect(server.host)

        @settings(max_examples=40, deadline=None)
        @given(names.filter(lambda name: not re.search(r"[\ud800-\udfff]", name)))
        def look(name: str) -> None:
            assert find_pipeline(connection, name) is None

        server.pipelines["1"] = api.V2beta1Pipeline(pipeline_id="1", display_name="continuous-retraining")
        look()
        assert require_pipeline(connection, "continuous-retraining") == "1"
        assert {method for method, _ in server.requests} == {"GET"}
        assert {path for _, path in server.requests} == {"/apis/v2beta1/healthz", "/apis/v2beta1/pipelines"}


@given(names, names)
def test_an_events_run_has_a_name_of_our_making(first: str, second: str) -> None:
    mark = event_mark(Event("webhook", first))
    assert re.fullmatch(r"webhook [0-9a-f]{24}", mark)
    assert (mark == event_mark(Event("webhook", second))) == (first == second)
