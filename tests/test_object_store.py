"""One contract for every object store, held against a folder, a Google Cloud Storage emulator and an S3 server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evergreen.errors import StateError
from evergreen.registry.ledger import Entry, Ledger
from evergreen.storage.base import ObjectStore, checked_name
from evergreen.storage.google_cloud import GoogleCloudStore
from evergreen.storage.local import LocalStore
from evergreen.storage.opening import open_store
from evergreen.storage.s3 import S3Store

BUCKET = "evergreen-test"


@pytest.fixture
def bucket(google_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_server)
    client = storage.Client(project="emulator", credentials=AnonymousCredentials())
    if not client.bucket(BUCKET).exists():
        client.create_bucket(BUCKET)
    return BUCKET


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    import boto3

    settings = {"AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture
def decided_by_mlflow(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return f"mlflow+{tmp_path}/store"


@pytest.fixture(params=["local", "mlflow", pytest.param("gcs", marks=pytest.mark.gcs), pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    if request.param == "mlflow":
        return open_store(request.getfixturevalue("decided_by_mlflow"))
    if request.param == "s3":
        return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/{tmp_path.name}/")
    return open_store(f"gs://{request.getfixturevalue('bucket')}/{tmp_path.name}/")


def test_what_was_written_is_read_and_can_be_replaced(store: ObjectStore) -> None:
    assert store.read("a/b.json") is None
    store.write("a/b.json", b"one")
    assert store.read("a/b.json") == b"one"
    store.write("a/b.json", b"")
    assert store.read("a/b.json") == b""


def test_only_the_first_creates(store: ObjectStore) -> None:
    assert store.create("slot", b"first") is True
    assert store.create("slot", b"second") is False
    assert store.read("slot") == b"first"
    assert store.names() == ["slot"]


def test_of_several_at_once_one_creates(store: ObjectStore) -> None:
    def create(number: int) -> bool:
        return store.create("ledger/00000001.json", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert created.count(True) == 1
    assert store.read("ledger/00000001.json") == str(created.index(True)).encode()
    assert store.names() == ["ledger/00000001.json"]


def test_names_are_sorted_and_chosen_by_their_start(store: ObjectStore) -> None:
    for name in ("b", "a/2", "a/1/x", "ab", "a/10"):
        store.write(name, b"")
    assert store.names() == ["a/1/x", "a/10", "a/2", "ab", "b"]
    assert store.names("a/") == ["a/1/x", "a/10", "a/2"]
    assert store.names("a") == ["a/1/x", "a/10", "a/2", "ab"]
    assert store.names("a/1") == ["a/1/x", "a/10"]
    assert store.names("zzz/") == []


def test_names_with_unusual_characters_come_back_unchanged(store: ObjectStore) -> None:
    for name in ("a b/ü%2F#?.json", "..a", "a..b/c"):
        assert store.create(name, name.encode())
        assert store.read(name) == name.encode()
    assert store.names() == sorted(["a b/ü%2F#?.json", "..a", "a..b/c"])


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/../../b", "/etc/passwd", "a\\b", "a\0b"])
@pytest.mark.parametrize("call", [lambda s, n: s.read(n), lambda s, n: s.write(n, b"x"), lambda s, n: s.create(n, b"x")])
def test_a_name_that_leads_elsewhere_is_refused(store: ObjectStore, name: str, call: Callable[[ObjectStore, str], object]) -> None:
    with pytest.raises(StateError, match=r"object name .*: expected a relative path without '\.\.' or backslashes"):
        call(store, name)
    assert store.names() == []


def test_a_prefix_that_leads_elsewhere_is_refused(store: ObjectStore) -> None:
    with pytest.raises(StateError, match=r"object name '\.\./': expected a relative path"):
        store.names("../")


def test_a_ledger_is_kept_in_order_by_either_store(store: ObjectStore) -> None:
    def append(number: int) -> None:
        Ledger(store, "rain").append(Entry("promotion", version_after=str(number), run_id=f"run-{number}", step_name="deploy_model"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(1, 5)))
    assert [record.number for record in Ledger(store, "rain").records()] == [1, 2, 3, 4]
    assert Ledger(store, "rain").verify() == []


@pytest.mark.gcs
def test_a_bucket_that_does_not_exist_is_named_by_every_call(bucket: str) -> None:
    store = open_store(f"gs://{bucket}-missing/state")
    expected = rf"ledger URI 'gs://{bucket}-missing/state': bucket '{bucket}-missing' does not exist. Create it, or correct state_ledger_uri"
    for call in (lambda: store.read("a"), lambda: store.write("a", b""), lambda: store.create("a", b""), store.names):
        with pytest.raises(StateError, match=expected):
            call()


@pytest.mark.gcs
@pytest.mark.usefixtures("bucket")
def test_a_refusal_of_the_service_names_the_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.api_core.exceptions import Forbidden
    from google.cloud.storage import Blob

    def refuse(*_: object, **__: object) -> None:
        raise Forbidden("caller lacks storage.objects.create")

    monkeypatch.setattr(Blob, "upload_from_string", refuse)
    store = open_store(f"gs://{BUCKET}/state")
    for call in (store.write, store.create):
        with pytest.raises(StateError, match=rf"ledger URI 'gs://{BUCKET}/state': Google Cloud Storage rejected the request: 403 caller lacks"):
            call("a", b"")


@pytest.mark.gcs
@pytest.mark.usefixtures("bucket")
def test_two_prefixes_of_a_bucket_keep_apart() -> None:
    one, other = open_store(f"gs://{BUCKET}/apart"), open_store(f"gs://{BUCKET}/apart2")
    one.write("a", b"1")
    assert (one.names(), other.names(), other.read("a")) == (["a"], [], None)
    assert "apart/a" in GoogleCloudStore(f"gs://{BUCKET}").names("apart/")


def test_a_bucket_without_a_name_is_refused() -> None:
    for uri in ("gs://", "gs:///prefix"):
        with pytest.raises(StateError, match=rf"ledger URI '{uri}': expected gs://bucket/prefix; the bucket name is missing"):
            open_store(uri)


def test_missing_credentials_name_the_uri(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(StateError, match=r"ledger URI 'gs://bucket/state': there are no credentials for Google Cloud Storage: .*absent\.json"):
        open_store("gs://bucket/state")


@pytest.mark.s3
def test_a_bucket_of_s3_that_does_not_exist_or_cannot_be_reached_is_named(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = S3Store("s3://absent-bucket/state")
    for call in (lambda: absent.read("a"), lambda: absent.write("a", b""), lambda: absent.create("a", b""), absent.names):
        with pytest.raises(
            StateError, match=r"ledger URI 's3://absent-bucket/state': bucket 'absent-bucket' does not exist. Create it, or correct state_ledger_uri"
        ):
            call()
    with pytest.raises(StateError, match=r"'s3:///a': expected s3://bucket/prefix; the bucket name is missing"):
        open_store("s3:///a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nowhere")
    with pytest.raises(StateError, match=rf"ledger URI 's3://{s3_bucket}': Invalid endpoint: nowhere. Check the credentials, AWS_DEFAULT_REGION"):
        open_store(f"s3://{s3_bucket}")


@pytest.mark.s3
def test_a_creation_that_s3_asks_to_send_again_is_sent_again(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    store = S3Store(f"s3://{s3_bucket}/again")
    put = store._client.put_object
    sent: list[dict[str, object]] = []

    def conflicting(**request: object) -> object:
        sent.append(request)
        if [each["Key"] for each in sent].count(request["Key"]) == 1:
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}, "ResponseMetadata": {"HTTPStatusCode": 409}}, "PutObject")
        return put(**request)

    monkeypatch.setattr(store._client, "put_object", conflicting)
    assert store.create("a", b"1") is True
    assert store.create("a", b"2") is False
    assert [each["Body"] for each in sent if each["Key"] == "again/a"] == [b"1", b"1", b"2"]
    assert store.read("a") == b"1"


def ignore_conditions(store: S3Store) -> None:
    """Let a store speak S3 as some do: without conditional writes."""
    store._client.meta.events.register("before-sign.s3.PutObject", lambda request, **_: request.headers.__delitem__("If-None-Match"))


@pytest.mark.s3
def test_a_store_that_ignores_the_condition_is_refused_before_anything_is_overwritten(s3_bucket: str) -> None:
    uri = f"s3://{s3_bucket}/unconditional"
    store = S3Store(uri)
    store.write("slot", b"first")
    ignore_conditions(store)
    message = rf"ledger URI '{uri}': this store does not support create-if-absent .* Use mlflow\+{uri} and set MLFLOW_TRACKING_URI"
    for _ in range(2):
        with pytest.raises(StateError, match=message):
            store.create("slot", b"second")
    assert store.read("slot") == b"first"
    assert store.names() == ["slot"]


@pytest.mark.s3
def test_mlflow_decides_for_a_store_that_ignores_the_condition(s3_bucket: str, decided_by_mlflow: str) -> None:
    assert decided_by_mlflow.startswith("mlflow+")
    store = open_store(f"mlflow+s3://{s3_bucket}/decided")
    ignore_conditions(store._inner)
    ledgers = [Ledger(store, "rain") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda pair: pair[1].append(Entry("kept", run_id=f"run-{pair[0]}", step_name="keep")), enumerate(ledgers)))
    assert sorted(record.run_id for record in ledgers[0].records()) == ["run-0", "run-1", "run-2", "run-3"]
    assert ledgers[0].verify() == []


@pytest.mark.parametrize("uri", ["azure://bucket/a", "http://host/a", "GS://bucket"])
def test_an_unknown_scheme_is_refused(uri: str) -> None:
    with pytest.raises(StateError, match=rf"ledger URI '{uri}': expected a folder, gs://bucket/prefix or s3://bucket/prefix; other schemes are not supported"):
        open_store(uri)


def test_a_folder_is_named_by_path_or_by_file_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in (str(tmp_path / "s"), f"file://{tmp_path}/s", "s"):
        assert open_store(uri).uri == str(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_no_unfinished_file_is_left_or_listed(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a/one", b"1")
    store.create("a/two", b"2")
    store.create("a/two", b"3")
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["one", "two"]
    (tmp_path / "a" / ".unfinished-killed").write_bytes(b"half")
    assert store.names() == store.names("a/") == ["a/one", "a/two"]


@pytest.mark.parametrize("call", ["write", "create"])
def test_a_full_disk_leaves_the_old_content_and_no_unfinished_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    store = LocalStore(str(tmp_path))
    store.write("a", b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StateError, match=rf"ledger folder '{tmp_path}': cannot be used: .*No space left on device"):
        getattr(store, call)("a", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert store.read("a") == b"old"


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = LocalStore(str(tmp_path / "file"))
    assert (store.read("a"), store.names()) == (None, [])
    with pytest.raises(StateError, match=rf"ledger folder '{tmp_path}/file': cannot be used: .*Check that the folder is writable"):
        store.write("a", b"")


def test_a_folder_in_the_place_of_an_object_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    (tmp_path / "a").mkdir()
    for call in (lambda: store.write("a", b""), lambda: store.read("a")):
        with pytest.raises(StateError, match=r"cannot be used: .*Is a directory"):
            call()
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_safe_name_is_returned_as_it_is() -> None:
    assert checked_name("runs/a-1/x.json") == "runs/a-1/x.json"
