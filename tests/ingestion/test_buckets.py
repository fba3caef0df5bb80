"""One set of promises for every bucket, held against a Google Cloud Storage emulator and an S3 server."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.bucket import BucketSource, glob_pattern
from evergreen.ingestion.sources.google_cloud import GoogleBucket
from evergreen.ingestion.sources.s3 import S3Bucket
from evergreen.ingestion.windowing import ingest_window
from ingestion.conftest import ONE_DAY, START, daily_table
from support.servers import Proxy


class Cloud(Protocol):
    scheme: str
    proxy: Proxy

    def put(self, name: str, content: bytes) -> None: ...
    def delete(self, name: str) -> None: ...
    def bucket(self, name: str) -> Any: ...


@dataclass
class Google:
    client: Any
    name: str
    proxy: Proxy
    scheme: str = "gs"

    def put(self, name: str, content: bytes) -> None:
        self.client.bucket(self.name).blob(name).upload_from_string(content)

    def delete(self, name: str) -> None:
        self.client.bucket(self.name).blob(name).delete()

    def bucket(self, name: str) -> GoogleBucket:
        return GoogleBucket(name, timeout=(0.5, 0.5))


@dataclass
class Simple:
    client: Any
    name: str
    proxy: Proxy
    scheme: str = "s3"

    def put(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=name, Body=content)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=name)

    def bucket(self, name: str) -> S3Bucket:
        return S3Bucket(name, connect_seconds=0.5, read_seconds=0.5)


@pytest.fixture(params=[pytest.param("gs", marks=pytest.mark.gcs), pytest.param("s3", marks=pytest.mark.s3)])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    name = f"data-{abs(hash(tmp_path)) % 10**9}"
    proxy = Proxy(request.getfixturevalue("google_server" if request.param == "gs" else "s3_server"))
    if request.param == "gs":
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        direct = {"api_endpoint": f"http://{proxy.upstream}"}
        client = storage.Client(project="emulator", credentials=AnonymousCredentials(), client_options=direct)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        client.create_bucket(name)
        yield Google(client, name, proxy)
    else:
        import boto3

        for variable, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1"), ("ENDPOINT_URL", proxy.url)):
            monkeypatch.setenv(f"AWS_{variable}", value)
        client = boto3.client("s3", endpoint_url=f"http://{proxy.upstream}")
        client.create_bucket(Bucket=name)
        yield Simple(client, name, proxy)
    proxy.stop()


def parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


def uri(cloud: Any, path: str) -> str:
    return f"{cloud.scheme}://{cloud.name}/{path}"


def fetch(cloud: Any, path: str, folder: Path, *, bucket: str = "") -> list[bytes]:
    folder.mkdir(exist_ok=True)
    source = BucketSource(uri(cloud, path), cloud.bucket(bucket or cloud.name), path)
    fetched = source.fetch(ONE_DAY, folder)
    source.check_unchanged(fetched)
    return [file.path.read_bytes() for file in fetched.files]


def test_a_prefix_is_ingested_like_a_folder(cloud: Any, tmp_path: Path) -> None:
    earlier = daily_table(2, start=START - timedelta(days=2))
    cloud.put("events/2024/a.parquet", parquet(daily_table()))
    text = io.BytesIO()
    pacsv.write_csv(earlier.set_column(1, "value", pa.array([0.5, 1.5])), text)
    cloud.put("events/2023/b.csv.gz", gzip.compress(text.getvalue()))
    for passed_over in ("events/_SUCCESS", "events/notes.txt", "events2/a.parquet"):
        cloud.put(passed_over, b"x")
    results = [ingest_window(tmp_path / "d", source_uri=uri(cloud, path), timestamp_column="time") for path in ("events", "events/", "events/**/*.[pc]*")]
    assert {result.manifest.rows for result in results} == {12}
    assert len({result.manifest.fingerprint for result in results}) == 1
    objects = results[0].manifest.objects
    assert [item["uri"] for item in objects] == [uri(cloud, "events/2023/b.csv.gz"), uri(cloud, "events/2024/a.parquet")]
    assert objects[1]["bytes"] == len(parquet(daily_table()))
    assert all(item["version"] for item in objects)


def test_a_new_content_is_a_new_version(cloud: Any, tmp_path: Path) -> None:
    versions = []
    for rows in (3, 4):
        cloud.put("a.parquet", parquet(daily_table(rows)))
        versions.append(ingest_window(tmp_path / "d", source_uri=uri(cloud, "a.parquet"), timestamp_column="time").manifest.objects[0]["version"])
    assert versions[0] != versions[1]


def test_many_objects_come_page_by_page(cloud: Any, tmp_path: Path) -> None:
    for index in range(30):
        cloud.put(f"many/{index:03d}.csv", f"time,x\n2024-01-01,{index}\n".encode())
    assert fetch(cloud, "many", tmp_path / "f")[29] == b"time,x\n2024-01-01,29\n"


@pytest.mark.parametrize("change", ["replaced", "deleted"])
@pytest.mark.parametrize("moment", ["before its download", "after its download"])
def test_a_change_during_the_read_is_noticed(cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, moment: str) -> None:
    cloud.put("a.parquet", parquet(daily_table(3)))

    def meddle() -> None:
        if change == "replaced":
            cloud.put("a.parquet", parquet(daily_table(5)))
        else:
            cloud.delete("a.parquet")

    kind = type(cloud.bucket(cloud.name))
    original = kind.download

    def download(self: Any, listed: Any, target: Path) -> None:
        if moment == "before its download":
            meddle()
        original(self, listed, target)
        if moment == "after its download":
            meddle()

    monkeypatch.setattr(kind, "download", download)
    with pytest.raises(IngestionError, match=r"a\.parquet was replaced or deleted while it was being read"):
        ingest_window(tmp_path / "out" / "d", source_uri=uri(cloud, "a.parquet"), timestamp_column="time")
    assert not list(tmp_path.glob("out/*"))


def test_a_missing_bucket_is_named(cloud: Any, tmp_path: Path) -> None:
    with pytest.raises(IngestionError, match=rf"bucket {cloud.scheme}://absent does not exist \(404\)\. Create it"):
        fetch(cloud, "x", tmp_path / "f", bucket="absent")


def test_an_empty_prefix_is_named(cloud: Any, tmp_path: Path) -> None:
    with pytest.raises(IngestionError, match="nowhere': no object matches"):
        fetch(cloud, "nowhere", tmp_path / "f")


DENIED = {
    "gs": b'{"error": {"code": 403, "message": "robot does not have storage.objects.list access"}}',
    "s3": b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
}


def test_no_permission_says_what_to_grant_and_is_not_tried_again(cloud: Any, tmp_path: Path) -> None:
    cloud.proxy.fault = lambda _: (403, DENIED[cloud.scheme])
    with pytest.raises(IngestionError, match=r"no permission \(403\).*(roles/storage\.objectViewer|s3:GetObject)"):
        fetch(cloud, "x", tmp_path / "f")
    assert len([path for path in cloud.proxy.requests if "prefix=" in path]) == 1


def hang(_: str) -> None:
    time.sleep(1.5)


@pytest.mark.parametrize("fault", [lambda _: (503, b""), lambda _: (500, b""), hang], ids=["503", "500", "hangs"])
def test_a_bucket_that_recovers_is_read(cloud: Any, tmp_path: Path, fault: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "30")
    cloud.put("a.csv", b"time,x\n2024-01-01,1\n")
    faults = 3

    def at_first(path: str) -> tuple[int, bytes] | None:
        nonlocal faults
        # Google's client asks for the bucket itself, too, and does not mind a failure.
        if cloud.scheme == "gs" and "/o" not in path.partition("/b/")[2]:
            return None
        faults -= 1
        return fault(path) if faults >= 0 else None

    cloud.proxy.fault = at_first
    assert fetch(cloud, "a.csv", tmp_path / "f") == [b"time,x\n2024-01-01,1\n"]
    assert faults < 0
    waits = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Waiting for ")]
    assert len(waits) == 3
    assert all(
        re.match(rf"Waiting for (Google Cloud Storage|S3) {cloud.scheme}://{cloud.name}: .+\. Next attempt in .* s, until \d{{4}}-.*Z\.", line)
        for line in waits
    )


def test_a_bucket_that_does_not_recover_ends_in_time(cloud: Any, tmp_path: Path) -> None:
    cloud.proxy.fault = lambda _: (503, b"")
    started = time.monotonic()
    with pytest.raises(IngestionError, match=r"gave up after \d+ attempts in [01] s"):
        fetch(cloud, "x", tmp_path / "f")
    assert time.monotonic() - started < 5
    assert len(cloud.proxy.requests) > 2


def test_a_download_that_is_cut_off_is_tried_again(cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.put("a.csv", b"time,x\n2024-01-01,1\n")
    kind = type(cloud.bucket(cloud.name))
    original, sizes = kind.download, iter([3, 5])

    def download(self: Any, listed: Any, target: Path) -> None:
        original(self, listed, target)
        size = next(sizes, None)
        if size is not None:
            target.write_bytes(target.read_bytes()[:size])

    monkeypatch.setattr(kind, "download", download)
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "30")
    assert fetch(cloud, "a.csv", tmp_path / "f") == [b"time,x\n2024-01-01,1\n"]


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("a/*.csv", "a/b.csv", "a/b/c.csv"),
        ("a/**/*.csv", "a/b/c.csv", "b/c.csv"),
        ("a/**/*.csv", "a/c.csv", "a/c.csv.gz"),
        ("day=2024-0[12]-??/x", "day=2024-01-31/x", "day=2024-03-31/x"),
        ("a.b[!c]", "a.bd", "a.bc"),
        ("a.b*", "a.bc", "aXbc"),
    ],
)
def test_globs_stay_below_one_slash(glob: str, inside: str, outside: str) -> None:
    assert glob_pattern(glob).fullmatch(inside)
    assert not glob_pattern(glob).fullmatch(outside)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(IngestionError, match=r"needs the Python package boto3.*pip install 'kfp-evergreen\[s3\]'"):
        S3Bucket("x")


def test_folders_of_a_bucket_become_columns(cloud: Any, tmp_path: Path) -> None:
    cloud.put("events/year=2023/region=a%20b/x.parquet", parquet(daily_table(2, start=START - timedelta(days=2))))
    cloud.put("events/year=2024/region=__HIVE_DEFAULT_PARTITION__/x.parquet", parquet(daily_table(3)))
    for path in ("events/", "events/year=*/**/*.parquet"):
        ingest_window(tmp_path / "d", source_uri=uri(cloud, path), timestamp_column="time")
        table = pq.read_table(tmp_path / "d")
        assert table.column("year").to_pylist() == [2023] * 2 + [2024] * 3
        assert table.column("region").to_pylist() == ["a b"] * 2 + [None] * 3


def test_commands_read_data_contracts_and_profiles_in_a_bucket(cloud: Any, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from evergreen.cli.main import app
    from evergreen.drift.detection import profile_dataset
    from evergreen.drift.profile.file import write_profile

    def evergreen(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    for name, start in (("a", START), ("b", START + timedelta(days=60))):
        cloud.put(f"events/{name}.parquet", parquet(daily_table(60, start=start)))
    glob, contract = uri(cloud, "events/*.parquet"), tmp_path / "contract.yaml"
    inferred = evergreen("contract", "infer", glob, "-o", str(contract))
    assert (inferred.exit_code, "from 120 rows" in inferred.output) == (0, True), inferred.output
    cloud.put("contract.yaml", contract.read_bytes())
    passed = evergreen("validate", uri(cloud, "events"), "--contract", uri(cloud, "contract.yaml"))
    assert (passed.exit_code, passed.output) == (0, "passed: 120 rows\n")
    pq.write_table(daily_table(60), tmp_path / "reference.parquet")
    write_profile(profile_dataset(tmp_path / "reference.parquet", ignored_columns=["time"]), tmp_path / "profile")
    cloud.put("profile", (tmp_path / "profile").read_bytes())
    for reference in (uri(cloud, "profile"), uri(cloud, "events/a.parquet")):
        drifted = evergreen("drift", reference, glob, "--detectors", "profile", "--timestamp-column", "time", "--json")
        assert drifted.exit_code == 0, drifted.output
        assert json.loads(drifted.output.splitlines()[-1])["rows"]["current"] == 120
    absent = evergreen("validate", uri(cloud, "nowhere/*"), "--contract", uri(cloud, "contract.yaml"))
    assert isinstance(absent.exception, IngestionError)
    assert "no object matches" in str(absent.exception)
    unread = evergreen("validate", glob, "--contract", uri(cloud, "nothing.yaml"))
    assert "does not exist" in str(unread.exception)


def test_commands_refuse_a_stream() -> None:
    from evergreen.ingestion.local_copy import local_copy

    with pytest.raises(IngestionError, match="For a stream or a table, ingest a window first"), local_copy("kafka://broker/topic"):
        pass


def test_commands_read_a_glob(tmp_path: Path) -> None:
    from evergreen.ingestion.local_copy import local_copy
    from evergreen.validation.frame import load_data

    for name in ("a", "b"):
        pq.write_table(daily_table(3), tmp_path / f"{name}.parquet")
    with local_copy(f"{tmp_path}/*.parquet") as path:
        assert len(load_data(path).frame) == 6
    assert not path.exists()
