"""The URI of something in a bucket: ``gs://bucket/path`` or ``s3://bucket/path``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evergreen.errors import StateError

if TYPE_CHECKING:
    from evergreen.errors import EvergreenError

BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
"""What Google and Amazon allow, capital letters of old buckets among it. Google's client puts the name into its addresses as it is."""


def bucket_and_path(uri: str, scheme: str, *, thing: str, parameter: str, error_class: type[EvergreenError]) -> tuple[str, str]:
    """Return the name of a bucket and the path in it.

    Args:
        uri: ``scheme://bucket/path``; the path may be empty.
        scheme: ``gs`` or ``s3``.
        thing: What the URI names, for the message.
        parameter: What has to be corrected when it is wrong, for the message.
        error_class: The error of whoever asks.

    Raises:
        EvergreenError: There is no bucket's name, or no bucket can have it: any other could make a request mean something else.
    """
    bucket, _, path = uri.removeprefix(f"{scheme}://").partition("/")
    if not bucket:
        raise error_class(f"{thing} {uri!r}: expected {scheme}://bucket/prefix; the bucket's name is missing. Correct {parameter}.")
    if BUCKET_NAME.fullmatch(bucket) is None or ".." in bucket:
        raise error_class(f"{thing} {uri!r}: {bucket!r} is no bucket's name; expected letters, digits, '.', '-' and '_'. Correct {parameter}.")
    return bucket, path


def bucket_and_prefix(uri: str, scheme: str, purpose: str = "ledger URI") -> tuple[str, str]:
    """Return the bucket's name of ``scheme://bucket/prefix`` and the prefix, with ``/`` at its end unless it is empty.

    Raises:
        StateError: The bucket's name is missing, or no bucket can have it.
    """
    bucket, path = bucket_and_path(uri, scheme, thing=purpose, parameter="the URI", error_class=StateError)
    prefix = path.strip("/")
    return bucket, f"{prefix}/" if prefix else ""
