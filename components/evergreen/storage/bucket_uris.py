"""URIs of objects in buckets: ``gs://bucket/path`` or ``s3://bucket/path``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evergreen.errors import StateError

if TYPE_CHECKING:
    from evergreen.errors import EvergreenError

BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
"""Names that Google and Amazon allow, including capital letters in old buckets. Google's client inserts the name into URLs unescaped."""


def bucket_and_path(uri: str, scheme: str, *, thing: str, parameter: str, error_class: type[EvergreenError]) -> tuple[str, str]:
    """Split a URI into the bucket name and the path in the bucket.

    Args:
        uri: ``scheme://bucket/path``; the path may be empty.
        scheme: ``gs`` or ``s3``.
        thing: What the URI refers to, for the error message.
        parameter: What to correct when the URI is wrong, for the error message.
        error_class: The exception type to raise.

    Raises:
        EvergreenError: The bucket name is missing or invalid. An invalid name could change the meaning of a request.
    """
    bucket, _, path = uri.removeprefix(f"{scheme}://").partition("/")
    if not bucket:
        raise error_class(f"{thing} {uri!r}: expected {scheme}://bucket/prefix; the bucket name is missing. Correct {parameter}.")
    if BUCKET_NAME.fullmatch(bucket) is None or ".." in bucket:
        raise error_class(f"{thing} {uri!r}: {bucket!r} is not a valid bucket name; expected letters, digits, '.', '-' and '_'. Correct {parameter}.")
    return bucket, path


def bucket_and_prefix(uri: str, scheme: str, purpose: str = "ledger URI") -> tuple[str, str]:
    """Split ``scheme://bucket/prefix`` into the bucket name and the prefix, which ends in ``/`` unless it is empty.

    Raises:
        StateError: The bucket name is missing or invalid.
    """
    bucket, path = bucket_and_path(uri, scheme, thing=purpose, parameter="the URI", error_class=StateError)
    prefix = path.strip("/")
    return bucket, f"{prefix}/" if prefix else ""
