"""A bucket of S3 or an S3-compatible store."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.base import missing_extra
from evergreen.ingestion.sources.bucket import ObjectChangedError, RemoteObject

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0


class S3Bucket:
    """Objects by ETag: the store rejects a download if the content is no longer the listed one."""

    kind = "S3"

    def __init__(self, bucket: str, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS) -> None:
        """Create a client that finds credentials as boto3 usually does and honours ``AWS_ENDPOINT_URL``.

        Raises:
            IngestionError: boto3 is not installed, or an AWS setting is wrong.
        """
        self.uri, self._name = f"s3://{bucket}", bucket
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise missing_extra(self.uri, "boto3", "s3") from error
        # Retries are ours, so that they are bounded and logged.
        config = Config(connect_timeout=connect_seconds, read_timeout=read_seconds, retries={"total_max_attempts": 1}, max_pool_connections=16)
        try:
            self._client: Any = boto3.client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise IngestionError(f"source {self.uri}: {error}. Check AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and the credentials.") from error

    def objects(self, prefix: str) -> list[RemoteObject]:
        """List by prefix, page by page."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
        found = (item for page in pages for item in page.get("Contents", ()))
        return [RemoteObject(item["Key"], int(item["Size"]), item["ETag"].strip('"')) for item in found if not item["Key"].endswith("/")]

    def download(self, listed: RemoteObject, target: Path) -> None:
        """Download with ``If-Match``, so that only the listed content is received."""
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object(Bucket=self._name, Key=listed.name, IfMatch=f'"{listed.version}"')
        except ClientError as error:
            if _status_of(error) in (404, 412):
                raise ObjectChangedError(listed.name) from error
            raise
        with answer["Body"] as body, target.open("wb") as file:
            shutil.copyfileobj(body, file, 1 << 20)

    def explain(self, error: Exception) -> str | None:
        """Explain a missing bucket, missing permissions and missing credentials."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        if isinstance(error, ClientError):
            if _status_of(error) == 404:
                return f"bucket {self.uri} does not exist (404). Create it, or correct source_uri."
            if _status_of(error) in (401, 403):
                return f"no permission ({_status_of(error)}): {error}. Grant s3:ListBucket and s3:GetObject on {self.uri} to the step's role or key."
            return f"{error}. Check the bucket."
        if isinstance(error, NoCredentialsError):
            return "there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or assign a role to the pod."
        return f"{error}. Check AWS_ENDPOINT_URL and the network." if isinstance(error, BotoCoreError) else None


def _status_of(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
