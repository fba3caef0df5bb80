"""Decides which errors of any library are transient, and may be gone at the next attempt.

Libraries wrap the errors of the libraries below them, so a chain of errors is examined from the outside in, and the first
definite sign decides: an HTTP status, an error number, a class, or a database code. Classes are matched by name, because
an error of a library that has not been imported cannot occur, and importing all libraries would cost a step seconds.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.storage.retries.fault_codes import header_of, verdict_of_broker, verdict_of_database, verdict_of_mlflow, verdict_of_service
from evergreen.storage.retries.fault_texts import names_bad_certificate, verdict_of_text

_NUMBERS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENOTCONN,
    }
)
_CLASSES = frozenset(
    {
        "requests.ConnectionError",
        "requests.Timeout",
        "requests.ChunkedEncodingError",
        "urllib3.ProtocolError",
        "urllib3.TimeoutError",
        "urllib3.NewConnectionError",
        "botocore.ConnectionError",
        "botocore.ConnectTimeoutError",
        "botocore.ReadTimeoutError",
        "botocore.ConnectionClosedError",
        "botocore.ResponseStreamingError",
        "botocore.IncompleteReadError",
        "google.DataCorruption",
        "aiohttp.ClientConnectionError",
        "aiohttp.ClientPayloadError",
        "httpx.TransportError",
        "httpcore.NetworkError",
        "httpcore.TimeoutException",
        "httpcore.RemoteProtocolError",
        "sqlalchemy.DisconnectionError",
        "sqlalchemy.TimeoutError",
    }
)
_UNDECIDED = frozenset(
    {"requests.SSLError", "requests.ProxyError", "urllib3.SSLError", "urllib3.ProxyError", "botocore.SSLError", "botocore.ProxyConnectionError"}
    | {"aiohttp.ClientSSLError", "httpx.UnsupportedProtocol", "httpx.LocalProtocolError", "httpx.ProxyError"}
)
"""Connection errors by class that may nevertheless be permanent: the wrapped error decides."""
_MISTAKES = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError, ArithmeticError, SyntaxError)
"""Errors that indicate a mistake of their own when raised while another error was being handled."""


def is_transient(error: BaseException) -> bool:
    """Return whether an error is transient.

    Transient: refused, reset and broken connections, timeouts, unresolved names, HTTP 408, 425, 429 and 5xx, locked databases and dropped
    database connections. Permanent: rejections (400, 401, 403, 404, 409, 412), untrusted certificates, and everything unknown.
    """
    if not isinstance(error, Exception):
        # An interrupt is intended, whatever error was being handled.
        return False
    links = list(_links(error))
    if any(isinstance(link, ssl.SSLCertVerificationError) or names_bad_certificate(link) for link in links):
        return False
    for judge in (_verdict, verdict_of_text):
        for link in links:
            verdict = judge(link)
            if verdict is not None:
                return verdict
    return False


def retry_after_seconds(error: BaseException, now: float) -> float:
    """Return how long a server asks to wait in its Retry-After header; 0 if it is absent or unreadable.

    Args:
        error: The error as raised by a library.
        now: The current time in seconds since 1970.
    """
    for link in _links(error):
        text = header_of(link, "Retry-After").strip()
        if text.isdecimal():
            return float(text)
        if text:
            try:
                return max(0.0, parsedate_to_datetime(text).timestamp() - now)
            except ValueError:
                return 0.0
    return 0.0


def _links(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it wraps, from the outside in."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [inner for inner in _wrapped(link) if isinstance(inner, BaseException)]


def _wrapped(link: BaseException) -> list[Any]:
    if isinstance(link, EvergreenError):
        return []
    inner = [getattr(link, name, None) for name in ("reason", "cause", "orig")]
    context = None if link.__suppress_context__ or isinstance(link, _MISTAKES) else link.__context__
    return [*inner, *link.args, link.__cause__, context]


def _verdict(link: BaseException) -> bool | None:
    """Return whether a single error is transient, or None if it gives no definite sign."""
    if isinstance(link, EvergreenError):
        # Includes errors of calls that already waited in vain: waits must not multiply.
        return False
    together = getattr(link, "exceptions", None)
    if isinstance(together, (tuple, list)) and together:
        return all(is_transient(each) for each in together)
    classes = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(link).__mro__}
    for judge in (verdict_of_mlflow, verdict_of_broker, verdict_of_service, verdict_of_database):
        verdict = judge(link, classes)
        if verdict is not None:
            return verdict
    if classes & _UNDECIDED:
        return None
    return True if classes & _CLASSES else _verdict_of_system(link)


def _verdict_of_system(link: BaseException) -> bool | None:
    if isinstance(link, ssl.SSLError):
        return isinstance(link, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)) or "timed out" in str(link) or "EOF occurred" in str(link)
    if isinstance(link, (ConnectionError, TimeoutError, socket.gaierror, http.client.IncompleteRead, http.client.BadStatusLine, http.client.ResponseNotReady)):
        return True
    return link.errno in _NUMBERS if isinstance(link, OSError) and link.errno is not None else None
