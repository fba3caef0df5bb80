"""Opens the source that a URI refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.ingestion.errors import IngestionError

if TYPE_CHECKING:
    from evergreen.ingestion.sources.base import Source
    from evergreen.ingestion.sources.bucket import BucketSource


SCHEMES = (
    "a path",
    "file://",
    "gs://",
    "s3://",
    "kafka://",
    "kinesis://",
    "dvc+https://repository@revision#path",
    "an SQLAlchemy URL with #table",
    "env:VARIABLE with #table",
)


def open_source(source_uri: str) -> Source:
    """Return the source that a URI refers to, importing its library only now.

    Args:
        source_uri: File, folder or glob, ``file://``, ``gs://bucket/path``, ``s3://bucket/path``, ``kafka://broker/topic``, ``kinesis://stream``,
            ``dvc+https://host/repository.git@revision#path``,
            an SQLAlchemy URL such as ``postgresql+psycopg://host/database#schema.table``, or ``env:VARIABLE#table`` for a variable that holds such a URL.

    Raises:
        IngestionError: The URI is empty or has an unsupported scheme, or its library is not installed.
    """
    scheme = source_uri.partition("://")[0].lower() if "://" in source_uri else ""
    if source_uri.startswith("env:") or scheme.partition("+")[0] in ("sqlite", "postgresql", "mysql", "mariadb", "mssql", "oracle", "snowflake", "bigquery"):
        from evergreen.ingestion.sources.sql import SqlSource

        return SqlSource(source_uri)
    if scheme in ("gs", "s3"):
        return open_bucket_source(source_uri)
    if scheme == "kafka":
        from evergreen.ingestion.sources.kafka import KafkaSource

        return KafkaSource(source_uri)
    if scheme == "kinesis":
        from evergreen.ingestion.sources.kinesis import KinesisSource

        return KinesisSource(source_uri)
    if scheme.startswith("dvc+"):
        from evergreen.ingestion.sources.dvc import DvcSource

        return DvcSource(source_uri)
    if scheme not in ("", "file"):
        raise IngestionError(f"source {source_uri!r}: Unknown scheme {scheme!r}. Valid sources: {', '.join(SCHEMES)}. Copy the data to one of these.")
    from evergreen.ingestion.sources.local import LocalSource

    return LocalSource(source_uri)


def open_bucket_source(source_uri: str) -> BucketSource:
    """Return the source of a ``gs://`` or ``s3://`` URI.

    Raises:
        IngestionError: The bucket name or credentials are missing, or the library is not installed.
    """
    from evergreen.ingestion.sources.bucket import BucketSource
    from evergreen.storage.bucket_uris import bucket_and_path

    scheme = source_uri.partition("://")[0]
    bucket, path = bucket_and_path(source_uri, scheme, thing="source", parameter="source_uri", error_class=IngestionError)
    if scheme.lower() == "gs":
        from evergreen.ingestion.sources.google_cloud import GoogleBucket

        return BucketSource(source_uri, GoogleBucket(bucket), path)
    from evergreen.ingestion.sources.s3 import S3Bucket

    return BucketSource(source_uri, S3Bucket(bucket), path)
