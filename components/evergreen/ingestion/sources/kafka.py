"""A Kafka topic as a micro-batch: all messages up to the partitions' offsets at the start of the read."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.base import FetchedFiles, SourceRequest, missing_extra
from evergreen.ingestion.sources.stream_messages import PartitionWriter, arrivals_wanted, fetched_messages, parse_ranges
from evergreen.storage.retries.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evergreen.ingestion.source_file import SourceFile

SECONDS_WITHOUT_ANSWER = 30.0
SECONDS_FOR_TOPICS = 2.0
"""Shorter, so that the log soon reports an unavailable broker; the client itself keeps connecting silently."""
LEADERS_ARE_CHANGING = ("LEADER_NOT_AVAILABLE", "BROKER_NOT_AVAILABLE")


@dataclass(frozen=True)
class OffsetRange:
    """Messages of one partition, including both ends."""

    partition: int
    first: int
    last: int


class KafkaSource:
    """Messages that are JSON objects, read without committing offsets, so that reading changes nothing in Kafka."""

    def __init__(self, source_uri: str, seconds_without_answer: float = SECONDS_WITHOUT_ANSWER) -> None:
        """Parse the URI; no connection is opened yet.

        Args:
            source_uri: ``kafka://broker:9092,broker:9092/topic``; with ``?offsets=0:17-99,1:0-3``, exactly these messages, as listed in a manifest.
            seconds_without_answer: How long one attempt waits for a broker.

        Raises:
            IngestionError: The topic is missing, or the offsets are not ranges.
        """
        parts = urlsplit(source_uri)
        self._uri, self._brokers, self._topic = source_uri.partition("?")[0], parts.netloc, parts.path.strip("/")
        if not self._brokers or not self._topic:
            raise IngestionError(f"source {source_uri!r}: expected kafka://broker:9092/topic. Correct source_uri.")
        asked = parse_qs(parts.query).get("offsets")
        self._asked = parse_ranges(asked[0], source_uri) if asked else None
        self._patience = seconds_without_answer
        advice = "Check the brokers and the network, then run the step again."
        self._service = Service("Kafka", f"{self._brokers}/{self._topic}", f"source {self._uri!r}", advice, IngestionError)

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:
        """Write the messages to files; see :class:`evergreen.ingestion.sources.base.Source`."""
        try:
            import confluent_kafka
        except ImportError as error:
            raise missing_extra(self._uri, "confluent-kafka", "kafka") from error
        settings = {
            "bootstrap.servers": self._brokers,
            "group.id": "evergreen-ingestion",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": False,
            "log_level": 0,
        }

        def read() -> tuple[list[SourceFile | None], Counter[str], int | None, int | None]:
            # Each attempt starts over, and overwrites what an interrupted attempt has written.
            # Two consumers, so that neither is assigned a partition twice: its position would briefly be the old one, and nothing would be read.
            looking, reading, skipped = confluent_kafka.Consumer(settings), confluent_kafka.Consumer(settings), Counter[str]()
            try:
                ranges, since, newest = self._ranges(looking, request)
                return [self._read(reading, span, folder / f"{span.partition:06d}.jsonl", skipped) for span in ranges], skipped, since, newest
            finally:
                looking.close()
                reading.close()

        try:
            files, skipped, since, newest = self._service.call(read)
        except confluent_kafka.KafkaException as error:
            raise IngestionError(
                f"source {self._uri!r}: Kafka rejected the request: {error.args[0].str()}. Check the brokers, the topic and its permissions."
            ) from error
        return fetched_messages(files, skipped, self._uri, arrived_since=since, newest_arrival=newest, request=request)

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Do nothing: the message at an offset never changes."""

    def _ranges(self, consumer: Any, request: SourceRequest) -> tuple[list[OffsetRange], int | None, int | None]:
        from confluent_kafka import KafkaException, TopicPartition

        patience = min(self._patience, SECONDS_FOR_TOPICS)
        # Use the same consumer, which keeps connecting across attempts.
        topic = self._service.call(lambda: consumer.list_topics(self._topic, timeout=patience)).topics[self._topic]
        if topic.error is not None and topic.error.name() in LEADERS_ARE_CHANGING:
            raise KafkaException(topic.error)
        if topic.error is not None or not topic.partitions:
            raise IngestionError(f"source {self._uri!r}: topic {self._topic!r} does not exist. Create it, or correct source_uri.")
        present = {}
        for partition in sorted(topic.partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=self._patience)
            present[partition] = (low, high - 1)
        if self._asked is not None:
            return [self._checked(partition, positions, present) for partition, positions in self._asked.items()], None, None
        filled = {partition: span for partition, span in present.items() if span[0] <= span[1]}
        arrivals = {partition: self._arrival(consumer, OffsetRange(partition, last, last)) for partition, (_, last) in filled.items()}
        # In milliseconds, as in Kafka. The arrival of the newest message approximates the newest event time until that is known.
        newest = max(arrivals.values(), default=0) * 1000
        since = arrivals_wanted(request, newest if request.window_end is None else request.window_end) // 1000
        wanted = [partition for partition, arrival in arrivals.items() if arrival >= since]
        starts = consumer.offsets_for_times([TopicPartition(self._topic, partition, since) for partition in wanted], timeout=self._patience) if wanted else []
        # Below 0: there is no message of that age or newer.
        ranges = [OffsetRange(start.partition, start.offset, filled[start.partition][1]) for start in starts if 0 <= start.offset <= filled[start.partition][1]]
        return ranges, since * 1000, newest or None

    def _checked(self, partition: str, positions: tuple[str, str], present: dict[int, tuple[int, int]]) -> OffsetRange:
        first, last = int(positions[0]), int(positions[1])
        low, high = present.get(int(partition) if partition.isdigit() else -1, (0, -1))
        if first < low or last > high:
            raise IngestionError(
                f"source {self._uri!r}: partition {partition} has the offsets {low} to {high}, not {first} to {last}; Kafka may have deleted them. "
                "Keep messages longer (retention.ms), or read another range."
            )
        return OffsetRange(int(partition), first, last)

    def _arrival(self, consumer: Any, span: OffsetRange) -> int:
        newest = next(self._messages(consumer, span), None)
        # A transaction marker has no time, and messages before it may be of any age.
        return int(newest.timestamp()[1]) if newest is not None else int(time.time() * 1000)

    def _read(self, consumer: Any, span: OffsetRange, target: Path, skipped: Counter[str]) -> SourceFile | None:
        with PartitionWriter(target, skipped) as writer:
            for message in self._messages(consumer, span):
                writer.add(message.value())
        return writer.as_source_file(uri=f"{self._uri}/{span.partition}", version=f"offsets {span.first}-{span.last}")

    def _messages(self, consumer: Any, span: OffsetRange) -> Iterator[Any]:
        """Yield the messages of a range, skipping offsets without a message (compacted, or transaction markers)."""
        from confluent_kafka import KafkaException, TopicPartition

        place = TopicPartition(self._topic, span.partition, span.first)
        consumer.assign([place])
        heard = time.monotonic()
        while (reached := consumer.position([place])[0].offset) <= span.last:
            for message in consumer.consume(num_messages=1000, timeout=0.2):
                if message.error() is not None:
                    raise KafkaException(message.error())
                heard = time.monotonic()
                if message.partition() == span.partition and message.offset() <= span.last:
                    yield message
            if time.monotonic() - heard > self._patience:
                raise TimeoutError(
                    f"partition {span.partition} stopped at offset {max(reached, span.first)} of {span.last}: no message for {self._patience:g} s"
                )
