"""The Kinesis source against a real server of its protocol."""

from __future__ import annotations

import json
import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.kinesis import KinesisSource
from ingestion.conftest import START
from support.faulty_server import FaultyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.kinesis


@pytest.fixture
def client(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for variable, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1"), ("ENDPOINT_URL", s3_server)):
        monkeypatch.setenv(f"AWS_{variable}", value)
    return boto3.client("kinesis")


@pytest.fixture
def stream(client: Any) -> str:
    name = f"events-{uuid.uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=2)
    return name


def message(day: int) -> bytes:
    return json.dumps({"time": (START + timedelta(days=day)).isoformat(), "value": float(day)}).encode()


def send(client: Any, stream: str, *values: bytes) -> None:
    client.put_records(StreamName=stream, Records=[{"Data": value, "PartitionKey": str(index * 7919)} for index, value in enumerate(values)])


def test_a_stream_is_a_micro_batch_that_can_be_replayed(client: Any, stream: str, ingest: Callable[..., Any]) -> None:
    send(client, stream, *(message(day) for day in range(20)))
    table, ingested = ingest(f"kinesis://{stream}")
    assert sorted(table["value"].to_pylist()) == [float(day) for day in range(20)]
    objects = ingested.manifest.objects
    assert [item["uri"] for item in objects] == [f"kinesis://{stream}/shardId-00000000000{shard}" for shard in range(2)]
    send(client, stream, message(20), message(21))
    ranges = ",".join(f"{item['uri'].rpartition('/')[2]}:{item['version'].removeprefix('sequences ')}" for item in objects)
    assert ingest(f"kinesis://{stream}?sequences={ranges}")[1].manifest.fingerprint == ingested.manifest.fingerprint
    assert ingest(f"kinesis://{stream}")[1].manifest.rows == 22


def test_latest_goes_back_as_far_as_the_newest_event_asks(client: Any, stream: str, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    send(client, stream, *(message(day) for day in range(20)))
    asked: list[Any] = []
    start = KinesisSource._start
    monkeypatch.setattr(KinesisSource, "_start", lambda self, shard, since: asked.append(since) or start(self, shard, since))
    assert sorted(ingest(f"kinesis://{stream}", window_days=3)[0]["value"].to_pylist()) == [17.0, 18.0, 19.0]
    first, second = asked[0], asked[-1]
    assert second < first, "the events are older than their arrival, so it looks again"

    # A hundred days later nothing is new, and what there is is read.
    later = time.time_ns() + 100 * 86_400 * 10**9
    monkeypatch.setattr("evergreen.ingestion.windowing.time.time_ns", lambda: later)
    asked.clear()
    assert sorted(ingest(f"kinesis://{stream}", window_days=3)[0]["value"].to_pylist()) == [17.0, 18.0, 19.0]
    assert asked[0] is not None
    assert asked[-1] is None


def test_the_shards_of_before_a_split_are_read_too(client: Any, stream: str, ingest: Callable[..., Any]) -> None:
    send(client, stream, *(message(day) for day in range(10)))
    client.update_shard_count(StreamName=stream, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    send(client, stream, *(message(day) for day in range(10, 20)))
    assert sorted(ingest(f"kinesis://{stream}")[0]["value"].to_pylist()) == [float(day) for day in range(20)]


def test_poisoned_records_are_counted(client: Any, stream: str, ingest: Callable[..., Any]) -> None:
    send(client, stream, message(1), b"\xff{", b"7", message(2))
    table, ingested = ingest(f"kinesis://{stream}")
    assert table.num_rows == 2
    assert ingested.details()["skipped"] == {"messages that are no JSON object": 2}


FAILURES = {
    "no stream": ("kinesis://absent", "Kinesis rejected the request: .*absent"),
    "no name": ("kinesis://", "expected kinesis://stream"),
    "no range": ("kinesis://x?sequences=shardId-0:5", "is not a range of positions"),
    "empty": ("kinesis://{stream}", "has no readable messages near the window"),
}


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.usefixtures("client")
def test_mistakes_are_named(stream: str, tmp_path: Path, ingest: Callable[..., Any], case: str) -> None:
    uri, expected = FAILURES[case]
    with pytest.raises(IngestionError, match=expected):
        ingest(uri.format(stream=stream))
    assert not list(tmp_path.glob("out/*"))


@pytest.fixture
def faulty(s3_server: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:  # noqa: ARG001  # sets what the client needs
    proxy = FaultyServer(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy
    proxy.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("fault", ["503", "reset", "away", "throttled"])
def test_a_stream_that_fails_for_a_while_gives_each_record_once(faulty: FaultyServer, client: Any, stream: str, ingest: Callable[..., Any], fault: str) -> None:
    send(client, stream, *(message(day) for day in range(20)))
    if fault == "away":
        faulty.go_away(1.5)
    elif fault == "throttled":
        faulty.plan("answer", times=3, skip=2, status=400, body=b'{"__type": "ProvisionedThroughputExceededException", "message": "slow down"}')
    else:
        faulty.plan("answer" if fault == "503" else "reset", times=3, skip=2)
    table, _ = ingest(f"kinesis://{stream}")
    assert sorted(table["value"].to_pylist()) == [float(day) for day in range(20)]


@pytest.mark.usefixtures("patient")
def test_the_log_names_the_stream(faulty: FaultyServer, client: Any, stream: str, ingest: Callable[..., Any], capfd: pytest.CaptureFixture[str]) -> None:
    send(client, stream, message(1))
    faulty.plan("reset", times=3, skip=1)
    ingest(f"kinesis://{stream}")
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Waiting for ")]
    assert len(lines) == 3
    assert all(line.startswith(f"Waiting for Kinesis kinesis://{stream}: ") for line in lines)


def test_a_place_that_expired_in_an_outage_is_looked_up_again(
    faulty: FaultyServer, client: Any, stream: str, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    send(client, stream, *(message(day) for day in range(20)))
    monkeypatch.setattr("evergreen.ingestion.sources.kinesis.RECORDS_AT_A_TIME", 4)
    expired = b'{"__type": "ExpiredIteratorException", "message": "The iterator expired"}'
    # The list of shards and an iterator come first; the second fault meets a shard of which some records were read.
    faults = [faulty.plan("answer", skip=skip, status=400, body=expired) for skip in (2, 4)]
    table, _ = ingest(f"kinesis://{stream}")
    assert sorted(table["value"].to_pylist()) == [float(day) for day in range(20)]
    assert [fault.times for fault in faults] == [0, 0]


@pytest.mark.usefixtures("patient")
def test_a_refusal_is_one_message_at_once(faulty: FaultyServer, stream: str, ingest: Callable[..., Any]) -> None:
    faulty.plan("answer", times=-1, status=400, body=b'{"__type": "AccessDeniedException", "message": "not allowed"}')
    started = time.monotonic()
    with pytest.raises(IngestionError, match=r"Kinesis rejected the request: .*AccessDenied"):
        ingest(f"kinesis://{stream}")
    assert time.monotonic() - started < 5
    assert len(faulty.requests) == 1
