"""A Kinesis stream as a micro-batch: every shard up to its newest record at the time it is read."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import iso_event_time
from evergreen.ingestion.sources.base import FetchedFiles, SourceRequest, missing_extra
from evergreen.ingestion.sources.stream_messages import PartitionWriter, arrivals_wanted, fetched_messages, parse_ranges
from evergreen.storage.retries.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evergreen.ingestion.source_file import SourceFile

RECORDS_AT_A_TIME = 10_000
_EXPIRED = "ExpiredIteratorException"
"""A shard iterator is valid for five minutes; after an outage it may have to be requested again."""


class KinesisSource:
    """Records that are JSON objects; shards from before a resharding are read for as long as the stream keeps them."""

    def __init__(self, source_uri: str) -> None:
        """Parse the URI; no connection is opened yet.

        Args:
            source_uri: ``kinesis://stream``; with ``?sequences=shardId-000000000000:FIRST-LAST,...``, exactly these records, as listed in a manifest.

        Raises:
            IngestionError: The stream is missing, or the sequence numbers are not ranges.
        """
        parts = urlsplit(source_uri)
        self._uri, self._stream = source_uri.partition("?")[0], parts.netloc
        if not self._stream:
            raise IngestionError(f"source {source_uri!r}: expected kinesis://stream. Correct source_uri.")
        advice = "Check the service and the network, then run the step again."
        self._service = Service("Kinesis", self._uri, f"source {self._uri!r}", advice, IngestionError)
        asked = parse_qs(parts.query).get("sequences")
        self._asked = parse_ranges(asked[0], source_uri) if asked else None

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:
        """Write the records to files; see :class:`evergreen.ingestion.sources.base.Source`."""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise missing_extra(self._uri, "boto3", "kinesis") from error
        skipped = Counter[str]()
        try:
            client: Any = boto3.client("kinesis", config=Config(connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 1}))
            shards = list(self._asked or self._shards(client))
            # The current time approximates the newest event time until that is known.
            since = None if self._asked else arrivals_wanted(request, request.now if request.window_end is None else request.window_end)
            files = self._read_all(client, shards, since, folder, skipped)
            if since is not None and not any(files) and request.window_end is None:
                since = None
                files = self._read_all(client, shards, since, folder, skipped)
        except IngestionError:
            raise
        except (ClientError, BotoCoreError, ValueError) as error:
            raise IngestionError(
                f"source {self._uri!r}: Kinesis rejected the request: {error}. Check the stream, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and the permissions "
                "kinesis:ListShards, GetShardIterator and GetRecords."
            ) from error
        return fetched_messages(files, skipped, self._uri, arrived_since=since, request=request)

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Do nothing: the record at a sequence number never changes."""

    def _shards(self, client: Any) -> list[str]:
        names, options = [], {"StreamName": self._stream}
        while True:
            answer = self._service.call(partial(client.list_shards, **options))
            names += [shard["ShardId"] for shard in answer["Shards"]]
            if not answer.get("NextToken"):
                return sorted(names)
            options = {"NextToken": answer["NextToken"]}

    def _read_all(self, client: Any, shards: list[str], since: int | None, folder: Path, skipped: Counter[str]) -> list[SourceFile | None]:
        skipped.clear()
        return [self._read(client, shard, since, folder / f"{index:06d}.jsonl", skipped) for index, shard in enumerate(shards)]

    def _read(self, client: Any, shard: str, since: int | None, target: Path, skipped: Counter[str]) -> SourceFile | None:
        first, last = "", ""
        with PartitionWriter(target, skipped) as writer:
            for record in self._records(client, shard, since):
                first, last = first or record["SequenceNumber"], record["SequenceNumber"]
                writer.add(record["Data"])
        asked = (self._asked or {}).get(shard)
        if asked and (first, last) != asked:
            raise IngestionError(
                f"source {self._uri!r}: shard {shard} has the records {first or 'none'} to {last or 'none'} of the requested {asked[0]} to {asked[1]}; "
                "Kinesis may have deleted them. Keep records longer (retention period), or read another range."
            )
        return writer.as_source_file(uri=f"{self._uri}/{shard}", version=f"sequences {first}-{last}")

    def _records(self, client: Any, shard: str, since: int | None) -> Iterator[Any]:
        from botocore.exceptions import ClientError

        start = self._start(shard, since)
        iterator = self._iterator(client, shard, start)
        last = int(self._asked[shard][1]) if self._asked else None
        while iterator:
            try:
                answer = self._service.call(partial(client.get_records, ShardIterator=iterator, Limit=RECORDS_AT_A_TIME))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != _EXPIRED:
                    raise
                iterator = self._iterator(client, shard, start)
                continue
            for record in answer["Records"]:
                if last is not None and int(record["SequenceNumber"]) > last:
                    return
                yield record
                start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": record["SequenceNumber"]}
            # An open shard has no end; records that arrive later are not part of this batch.
            iterator = answer.get("NextShardIterator") if answer["Records"] or answer.get("MillisBehindLatest", 0) > 0 else None

    def _iterator(self, client: Any, shard: str, start: dict[str, Any]) -> str | None:
        answer = self._service.call(lambda: client.get_shard_iterator(StreamName=self._stream, ShardId=shard, **start))
        return str(answer["ShardIterator"]) if answer.get("ShardIterator") else None

    def _start(self, shard: str, since: int | None) -> dict[str, Any]:
        if self._asked:
            return {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": self._asked[shard][0]}
        if since is None:
            return {"ShardIteratorType": "TRIM_HORIZON"}
        return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": iso_event_time(since)}
