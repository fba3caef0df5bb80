"""The Kafka source against a real broker's protocol."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.kafka import KafkaSource
from ingestion.conftest import ONE_DAY, START
from support.faulty_server import FaultyConnection
from support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    words = [str(Path(sys.executable).parent / "noida-db"), "start", "--only", "kafka", "--kafka-port", str(port), "--host", "127.0.0.1"]
    # A group of its own, because the program starts another one that has to stop with it.
    process = subprocess.Popen(words, cwd=tmp_path_factory.mktemp("kafka"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


@pytest.fixture
def topic(broker: str) -> str:
    from confluent_kafka.admin import AdminClient, NewTopic

    name = f"events-{uuid.uuid4().hex[:8]}"
    # Messages of 2024 are older than the usual retention: the broker would delete them while they are read.
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "-1"})]).values():
        future.result(timeout=20)
    return f"kafka://{broker}/{name}"


def message(day: int, **more: Any) -> bytes:
    return json.dumps({"time": (START + timedelta(days=day)).isoformat(), "value": float(day), **more}).encode()


def send(uri: str, *messages: tuple[int, bytes | None, int]) -> None:
    """Send (partition, value, day of arrival)."""
    from confluent_kafka import Producer

    broker, _, name = uri.removeprefix("kafka://").partition("/")
    producer = Producer({"bootstrap.servers": broker})
    for partition, value, day in messages:
        producer.produce(name, value, partition=partition, timestamp=int((START + timedelta(days=day)).timestamp() * 1000))
    assert producer.flush(20) == 0


def test_a_topic_is_a_micro_batch_that_can_be_replayed(topic: str, ingest: Callable[..., Any]) -> None:
    send(topic, *((day % 2, message(day), day) for day in range(10)))
    table, ingested = ingest(topic, window_days=4)
    assert sorted(table["value"].to_pylist()) == [6.0, 7.0, 8.0, 9.0]
    assert [item["uri"] for item in ingested.manifest.objects] == [f"{topic}/0", f"{topic}/1"]
    ranges = [re.fullmatch(r"offsets (\d+)-4", item["version"]) for item in ingested.manifest.objects]
    assert all(ranges)
    send(topic, (0, message(9, city="Oslo"), 9), (1, message(10), 10))
    replayed = ",".join(f"{partition}:{found[1]}-4" for partition, found in enumerate(ranges) if found)
    again = ingest(f"{topic}?offsets={replayed}", window_days=4)[1]
    assert again.manifest.fingerprint == ingested.manifest.fingerprint
    assert ingest(topic, window_days=4)[1].manifest.fingerprint != ingested.manifest.fingerprint


def test_poisoned_messages_are_counted_and_the_good_ones_arrive(topic: str, ingest: Callable[..., Any]) -> None:
    poison = [b"\xff\xfe not json", b'{"time": "2024-01-0', b"[1, 2]", b"{}", None]
    send(topic, (0, message(1), 1), *((0, value, 1) for value in poison), (0, message(2), 2))
    table, ingested = ingest(topic)
    assert table["value"].to_pylist() == [1.0, 2.0]
    assert ingested.details()["skipped"] == {"messages that are no JSON object": 4, "messages without a value": 1}


def test_events_that_came_long_after_they_happened_find_their_neighbours_that_came_before(topic: str, ingest: Callable[..., Any]) -> None:
    send(topic, *((day % 2, message(day), day) for day in range(8)), (0, message(8), 60), (1, message(9), 60))
    table, ingested = ingest(topic, window_days=5)
    assert sorted(table["value"].to_pylist()) == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert ingested.window_end.startswith((START + timedelta(days=10)).date().isoformat())


def test_old_messages_are_not_read(topic: str, tmp_path: Path, ingest: Callable[..., Any]) -> None:
    send(topic, *((0, message(day), day) for day in range(100)))
    _, ingested = ingest(topic, window_days=3)
    assert ingested.manifest.rows == 3
    first = int(ingested.manifest.objects[0]["version"].removeprefix("offsets ").partition("-")[0])
    assert 94 <= first <= 97
    assert not list(tmp_path.glob("out/.unfinished*"))


FAILURES = {
    "no topic": ("", lambda uri: f"{uri}-absent", "topic '.*' does not exist|Unknown topic"),
    "empty topic": ("", lambda uri: uri, "has no readable messages"),
    "offsets that are gone": ("x", lambda uri: f"{uri}?offsets=0:0-7", "partition 0 has the offsets 0 to 0, not 0 to 7"),
    "no range": ("", lambda uri: f"{uri}?offsets=0:7-3", "'0:7-3' is not a range of positions"),
    "no topic's name": ("", lambda uri: uri.rpartition("/")[0], "expected kafka://broker:9092/topic"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_mistakes_are_named(topic: str, tmp_path: Path, ingest: Callable[..., Any], case: str) -> None:
    sent, change, expected = FAILURES[case]
    if sent:
        send(topic, (0, message(1), 1))
    with pytest.raises(IngestionError, match=expected):
        ingest(change(topic))
    assert not list(tmp_path.glob("out/*"))


def test_a_broker_that_does_not_answer_ends_in_time(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(
        IngestionError, match=r"source 'kafka://127.0.0.1:1/topic': Kafka cannot be reached: gave up after \d attempts? in .* s; .*Check the brokers"
    ):
        KafkaSource("kafka://127.0.0.1:1/topic", seconds_without_answer=1).fetch(ONE_DAY, tmp_path)
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("patient")
def test_a_broker_that_is_away_is_waited_for(
    topic: str, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evergreen.ingestion.sources.kafka.SECONDS_FOR_TOPICS", 0.5)
    send(topic, *((day % 2, message(day), day) for day in range(10)))
    host, _, port = topic.removeprefix("kafka://").partition("/")[0].partition(":")
    proxy = FaultyConnection(host, int(port))
    away = topic.replace(f":{port}/", f":{proxy.port}/")
    proxy.go_away(2)
    table, _ = ingest(away)
    assert sorted(table["value"].to_pylist()) == [float(day) for day in range(10)]
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Waiting for ")]
    assert lines
    assert all(line.startswith(f"Waiting for Kafka {away.removeprefix('kafka://')}: KafkaException: ") for line in lines)
    proxy.close()


@pytest.mark.usefixtures("patient")
def test_a_broker_that_falls_silent_while_it_is_read_gives_each_message_once(
    topic: str, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evergreen.ingestion.sources.kafka.SECONDS_WITHOUT_ANSWER", 1.0)
    send(topic, *((day % 2, message(day), day) for day in range(10)), (0, b"poison", 9))
    original, failures = KafkaSource._messages, [TimeoutError("no message for 1 s"), TimeoutError("no message for 1 s")]

    def silent(self: KafkaSource, consumer: Any, span: Any) -> Iterator[Any]:
        for number, each in enumerate(original(self, consumer, span)):
            if number == 3 and failures:
                raise failures.pop()
            yield each

    monkeypatch.setattr(KafkaSource, "_messages", silent)
    table, ingested = ingest(topic)
    assert sorted(table["value"].to_pylist()) == [float(day) for day in range(10)]
    assert ingested.details()["skipped"] == {"messages that are no JSON object": 1}
    assert capfd.readouterr().err.count("Waiting for Kafka") == 2


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, ingest: Callable[..., Any]) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(IngestionError, match=r"pip install 'kfp-evergreen\[kafka\]'"):
        ingest("kafka://broker/topic")
