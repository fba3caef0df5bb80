"""Small objects in a bucket of S3 or an S3-compatible store; create-if-absent uses ``If-None-Match: *``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evergreen.errors import StateError
from evergreen.storage.base import checked_name
from evergreen.storage.bucket_uris import bucket_and_prefix
from evergreen.storage.retries.service import Service
from evergreen.storage.uris import DECIDED_BY_MLFLOW

CONNECT_SECONDS, READ_SECONDS = 10, 60
EXISTS, NOT_IMPLEMENTED = 412, 501
PROBE_NAME = ".evergreen-conditional-write"


class S3Store:
    """Objects in a bucket, below a prefix. The store must support conditional writes, as Amazon S3 does."""

    def __init__(self, uri: str) -> None:
        """Create a client that finds credentials as boto3 usually does and honours ``AWS_ENDPOINT_URL``.

        Raises:
            StateError: The bucket name is missing, boto3 is not installed, or an AWS setting is wrong.
        """
        self.uri = uri.rstrip("/")
        self._bucket, self._prefix = bucket_and_prefix(uri, "s3")
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise StateError(f"ledger URI {uri!r}: needs boto3, which is not installed. Install kfp-evergreen[s3].") from error
        # Retries are ours, so that they are bounded and logged.
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
        self._service = Service("S3", self.uri, f"ledger URI {self.uri!r}", "Check the network and AWS_ENDPOINT_URL, then run the step again.")
        with self._errors():
            self._client: Any = boto3.client("s3", config=config)
        self._refuses_second_creation = False

    def read(self, name: str) -> bytes | None:
        """Download the object, or return None when it does not exist."""
        key = self._key(name)
        with self._errors():
            return self._service.call(lambda: self._download_or_none(key))

    def write(self, name: str, content: bytes) -> None:
        """Upload the object in one request."""
        key = self._key(name)
        with self._errors():
            self._service.call(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=content))

    def create(self, name: str, content: bytes) -> bool:
        """Upload with ``If-None-Match: *``: the service rejects the request if the object exists.

        Raises:
            StateError: The service does not support the condition, so two callers could create the same object.
        """
        if not self._refuses_second_creation:
            # It must reject at least the second creation; a service that ignores the condition would let records be overwritten.
            if self._create(PROBE_NAME, b"1") and self._create(PROBE_NAME, b"2"):
                raise self._no_condition("a second creation of the same object was accepted")
            self._refuses_second_creation = True
        return self._create(name, content)

    def _create(self, name: str, content: bytes) -> bool:
        from botocore.exceptions import ClientError

        key = self._key(name)

        def create() -> bool:
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*")
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status == EXISTS:
                    return False
                if status == NOT_IMPLEMENTED:
                    raise self._no_condition(str(error)) from error
                raise
            return True

        def landed() -> bool | None:
            # If the response was lost, the stored content shows that this call wrote it.
            return True if self._download_or_none(key) == content else None

        with self._errors():
            return self._service.call(create, landed=landed)

    def _download_or_none(self, key: str) -> bytes | None:
        try:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
        except self._client.exceptions.NoSuchKey:
            return None

    def names(self, prefix: str = "") -> list[str]:
        """List by prefix, page by page."""
        if prefix:
            checked_name(prefix)

        def listed() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            found = (item["Key"].removeprefix(self._prefix) for page in pages for item in page.get("Contents", ()))
            return sorted(name for name in found if name != PROBE_NAME)

        with self._errors():
            return self._service.call(listed)

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name)

    def _no_condition(self, reason: str) -> StateError:
        return StateError(
            f"ledger URI {self.uri!r}: this store does not support create-if-absent (If-None-Match): {reason}. "
            f"Records could be overwritten. Use {DECIDED_BY_MLFLOW}{self.uri} and set MLFLOW_TRACKING_URI to let MLflow decide, or use another store."
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except StateError:
            raise
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchBucket":
                raise StateError(f"ledger URI {self.uri!r}: bucket {self._bucket!r} does not exist. Create it, or correct state_ledger_uri.") from error
            raise StateError(f"ledger URI {self.uri!r}: S3 rejected the request: {error}. Check the bucket and its permissions.") from error
        except (BotoCoreError, ValueError) as error:
            raise StateError(f"ledger URI {self.uri!r}: {error}. Check the credentials, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL.") from error
