"""Addresses and messages without the credentials that they may contain, for logs, records and messages."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(?i)((?:signature|token|secret|password|passwd|pwd|credential|access_?key(?:_?id)?|api_?key|sig|auth)[\w-]*=)[^\s&'\",;)]+")
_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_USER_INFORMATION = re.compile(r"://[^/?#\s]*@")


def without_password(uri: str) -> str:
    """Return an address without any user name and password."""
    # The host starts after the last @ before a slash, because a password may contain an @. Text that is not a URI is returned unchanged.
    return re.sub(r"://[^/?#]*@", "://", uri)


def without_credentials(text: str) -> str:
    """Return a message without user information in addresses, values of parameters that are named like secrets, and authorization headers."""
    return _AUTHORIZATION.sub(r"\1 ***", _SECRET.sub(r"\1***", _USER_INFORMATION.sub("://", text)))
