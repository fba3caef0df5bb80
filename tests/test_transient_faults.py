"""Each library's errors, as it raises them itself, and any of them wrapped by others."""

from __future__ import annotations

import errno
import http.client
import socket
import sqlite3
import ssl
import urllib.error
from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import StateError
from evergreen.ingestion.errors import IngestionError
from evergreen.storage.retries.transient_faults import is_transient, retry_after_seconds


def requests_error(status: int) -> Exception:
    import requests

    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Error", response=response)


def boto_error(status: int, code: str = "", headers: dict[str, str] | None = None) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code or str(status)}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}}, "PutObject")


def google_error(status: int, **more: Any) -> Exception:
    from google.api_core.exceptions import from_http_status

    return from_http_status(status, "told by Google", **more)


def url_error(status: int) -> Exception:
    return urllib.error.HTTPError("http://host/", status, "", Message(), None)


def mlflow_text(text: str) -> Exception:
    from mlflow.exceptions import MlflowException

    return MlflowException(f"API request to http://host/api failed with exception {text}")


def mlflow_status(status: int) -> Exception:
    """As MLflow's client raises what a real server answered."""
    import requests
    from mlflow.exceptions import MlflowException
    from mlflow.utils.rest_utils import verify_rest_response

    response = requests.Response()
    response.status_code = status
    response._content = b"<html>told by a proxy</html>"
    with pytest.raises(MlflowException) as caught:
        verify_rest_response(response, "/api/2.0/mlflow/runs/get")
    return caught.value


def rest_error(**body: Any) -> Exception:
    from mlflow.exceptions import RestException

    return RestException(body)


def sql_error(original: Exception, *, invalidated: bool = False) -> Exception:
    from sqlalchemy.exc import OperationalError

    return OperationalError("SELECT secret FROM t", {"a": 1}, original, connection_invalidated=invalidated)


def psycopg_error(name: str, text: str = "") -> Exception:
    import psycopg

    return getattr(psycopg.errors, name, psycopg.OperationalError)(text)


def kafka_error(code: int) -> Exception:
    from confluent_kafka import KafkaError, KafkaException

    return KafkaException(KafkaError(code))


def max_retries(reason: Exception) -> Exception:
    import urllib3

    return urllib3.exceptions.MaxRetryError(urllib3.HTTPConnectionPool("host"), "/", reason)


def requests_wrapping(kind: str, reason: Exception) -> Exception:
    import requests

    return getattr(requests.exceptions, kind)(max_retries(reason))


def urllib3_error(kind: str, *values: Any) -> Exception:
    import urllib3

    return getattr(urllib3.exceptions, kind)(*values)


def boto_network(kind: str) -> Exception:
    import botocore.exceptions

    return getattr(botocore.exceptions, kind)(endpoint_url="http://host", error="told by botocore", actual_bytes=1, expected_bytes=2, proxy_url="http://proxy")


def google_auth(kind: str, inner: Exception, *, retryable: bool = False) -> Exception:
    import google.auth.exceptions

    return getattr(google.auth.exceptions, kind)(inner, **({"retryable": True} if retryable else {}))


def raised_from(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


CERTIFICATE = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)")
PASSING = (408, 429, 500, 502, 503, 504, 520)
REFUSING = (400, 401, 403, 404, 409, 412, 501)
TEXTS_THAT_MAY_PASS = (
    "HTTPConnectionPool(host='h', port=5000): Max retries exceeded with url: / (Caused by ResponseError('too many 503 error responses'))",
    "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
    "The following failures occurred while downloading one or more artifacts from mlflow-artifacts:\n##### File a #####\n502 Server Error: Bad Gateway for url",
    "HTTPSConnectionPool(host='h', port=443): Max retries exceeded (Caused by NameResolutionError(\"Failed to resolve 'h'\"))",
    "Read timed out. (read timeout=10)",
    "('Connection broken: IncompleteRead(10 bytes read, 20 more expected)')",
)
TEXTS_FOR_GOOD = (
    "The following failures occurred while downloading one or more artifacts from mlflow-artifacts:\n##### File a #####\n403 Client Error: Forbidden for url",
    "##### File a #####\n503 Server Error: x\n##### File b #####\n404 Client Error: Not Found",
    "HTTPSConnectionPool(host='h', port=443): Max retries exceeded (Caused by SSLError(SSLCertVerificationError(1, 'certificate verify failed')))",
    "Unable to connect to proxy, Tunnel connection failed: 407 Proxy Authentication Required",
    "no such artifact",
)

TRANSIENT: dict[str, Callable[[], Exception]] = {
    **{
        f"{make.__name__} {status}": lambda make=make, status=status: make(status)
        for make in (requests_error, boto_error, google_error, url_error)
        for status in PASSING
    },
    **{f"mlflow {status}": lambda status=status: mlflow_status(status) for status in (429, 503, 504)},
    **{f"mlflow: {text[-40:]}": lambda text=text: mlflow_text(text) for text in TEXTS_THAT_MAY_PASS},
    "refused": lambda: ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    "reset": lambda: ConnectionResetError(errno.ECONNRESET, "reset"),
    "broken pipe": lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "unreachable": lambda: OSError(errno.EHOSTUNREACH, "No route to host"),
    "time-out": lambda: TimeoutError("timed out"),
    "no such name": lambda: socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    "name service away": lambda: socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "urllib": lambda: urllib.error.URLError(ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
    "handshake cut off": lambda: ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    "no answer": lambda: http.client.RemoteDisconnected("Remote end closed connection without response"),
    "half an answer": lambda: http.client.IncompleteRead(b"", 10),
    "requests refused": lambda: requests_wrapping("ConnectionError", urllib3_error("NewConnectionError", None, "Connection refused")),
    "requests 503": lambda: requests_wrapping("RetryError", urllib3_error("ResponseError", "too many 503 error responses")),
    "requests cut off": lambda: requests_wrapping(
        "SSLError", raised_from(urllib3_error("SSLError", "EOF occurred"), ssl.SSLEOFError(8, "EOF occurred in violation"))
    ),
    "requests chunks": lambda: requests_wrapping("ChunkedEncodingError", urllib3_error("ProtocolError", "Connection broken")),
    **{
        f"botocore {kind}": lambda kind=kind: boto_network(kind)
        for kind in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError")
    },
    "botocore half": lambda: boto_network("IncompleteReadError"),
    **{
        f"aws {code}": lambda code=code: boto_error(400, code)
        for code in ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestTimeout", "SlowDown")
    },
    "aws asks again": lambda: boto_error(409, "ConditionalRequestConflict"),
    "google rate": lambda: google_error(403, errors=[{"reason": "rateLimitExceeded"}]),
    "google transport": lambda: google_auth("TransportError", requests_wrapping("ConnectionError", urllib3_error("NewConnectionError", None, "refused"))),
    "google refresh": lambda: google_auth("RefreshError", OSError("later"), retryable=True),
    "mlflow busy": lambda: rest_error(error_code="TEMPORARILY_UNAVAILABLE", message="later"),
    "mlflow limit": lambda: rest_error(error_code="REQUEST_LIMIT_EXCEEDED", message="later"),
    "mlflow itself": lambda: rest_error(error_code="INTERNAL_ERROR", message="told by the server"),
    "mlflow locked": lambda: raised_from(mlflow_text(""), sql_error(sqlite3.OperationalError("database is locked"))),
    "sqlite locked": lambda: sqlite3.OperationalError("database table is locked: events"),
    "sql dropped": lambda: sql_error(RuntimeError("gone"), invalidated=True),
    "postgres away": lambda: sql_error(psycopg_error("", 'connection failed: connection to server at "127.0.0.1", port 1 failed: Connection refused')),
    "postgres name": lambda: sql_error(psycopg_error("", "[Errno -2] Name or service not known")),
    **{
        f"postgres {name}": lambda name=name: sql_error(psycopg_error(name))
        for name in ("AdminShutdown", "CannotConnectNow", "TooManyConnections", "DeadlockDetected", "SerializationFailure")
    },
    "postgres lost": lambda: sql_error(psycopg_error("", "consuming input failed: server closed the connection unexpectedly")),
    **{f"kafka {code}": lambda code=code: kafka_error(code) for code in (-195, -193, -187, -185, 5, 6, 7, 13, 56, 89)},
}
PERMANENT: dict[str, Callable[[], Exception]] = {
    **{
        f"{make.__name__} {status}": lambda make=make, status=status: make(status)
        for make in (requests_error, boto_error, google_error, url_error)
        for status in REFUSING
    },
    **{f"mlflow {status}": lambda status=status: mlflow_status(status) for status in (400, 401, 403, 404, 409)},
    **{f"mlflow: {text[-40:]}": lambda text=text: mlflow_text(text) for text in TEXTS_FOR_GOOD},
    "missing file": lambda: FileNotFoundError(errno.ENOENT, "absent"),
    "no permission": lambda: PermissionError(errno.EACCES, "denied"),
    "full disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "bad input": lambda: ValueError("port out of range"),
    "certificate": lambda: CERTIFICATE,
    "requests certificate": lambda: requests_wrapping("SSLError", raised_from(urllib3_error("SSLError", str(CERTIFICATE)), CERTIFICATE)),
    "urllib certificate": lambda: urllib.error.URLError(CERTIFICATE),
    "no TLS": lambda: ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "requests no TLS": lambda: requests_wrapping("SSLError", raised_from(urllib3_error("SSLError", "x"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"))),
    "proxy refuses": lambda: requests_wrapping(
        "ProxyError", urllib3_error("ProxyError", "Unable to connect to proxy", OSError("Tunnel connection failed: 407 x"))
    ),
    "bad URL": lambda: __import__("requests").exceptions.InvalidURL("no host"),
    "aws key": lambda: boto_error(403, "SignatureDoesNotMatch"),
    "aws iterator": lambda: boto_error(400, "ExpiredIteratorException"),
    "google refresh": lambda: google_auth("RefreshError", ValueError("invalid_grant")),
    "mlflow exists": lambda: rest_error(error_code="RESOURCE_ALREADY_EXISTS", message="exists"),
    "mlflow proxy's refusal": lambda: rest_error(message="Forbidden"),
    "mlflow no table": lambda: raised_from(mlflow_text(""), sql_error(sqlite3.OperationalError("no such table: runs"))),
    "sqlite no file": lambda: sqlite3.OperationalError("unable to open database file"),
    "postgres password": lambda: sql_error(psycopg_error("", 'connection failed: FATAL:  password authentication failed for user "u"')),
    "postgres database": lambda: sql_error(psycopg_error("", 'connection failed: FATAL:  database "x" does not exist')),
    **{
        f"postgres {name}": lambda name=name: sql_error(psycopg_error(name))
        for name in ("UndefinedTable", "InsufficientPrivilege", "SyntaxError", "InvalidPassword")
    },
    **{f"kafka {code}": lambda code=code: kafka_error(code) for code in (-169, -181, -188, 1, 3, 29, 58)},
    "our own": lambda: StateError("the server cannot be reached"),
    "ours around what passes": lambda: raised_from(IngestionError("gave up"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
    "unknown": lambda: RuntimeError("what is this?"),
}


@pytest.mark.parametrize("case", TRANSIENT)
def test_what_may_pass_is_known(case: str) -> None:
    assert is_transient(TRANSIENT[case]()) is True


@pytest.mark.parametrize("case", PERMANENT)
def test_what_will_not_pass_is_known(case: str) -> None:
    assert is_transient(PERMANENT[case]()) is False


class LibraryError(Exception):
    """A library's own error around another's."""


def caused(inner: Exception) -> Exception:
    return raised_from(LibraryError("told by a library"), inner)


def in_context(inner: Exception) -> Exception:
    error = LibraryError("told by a library")
    error.__context__ = inner
    return error


def as_argument(inner: Exception) -> Exception:
    return LibraryError("told by a library", inner)


def as_reason(inner: Exception) -> Exception:
    return urllib.error.URLError(inner)


def of_mlflow(inner: Exception) -> Exception:
    error = mlflow_text("")
    error.__context__ = inner
    return error


WRAPPERS = [caused, in_context, as_argument, as_reason, of_mlflow]


@settings(deadline=None)  # the first of a kind imports the library that raises it
@given(case=st.sampled_from(sorted(TRANSIENT)), wrappers=st.lists(st.sampled_from(WRAPPERS), max_size=4))
def test_what_may_pass_is_known_below_any_wrapping(case: str, wrappers: list[Callable[[Exception], Exception]]) -> None:
    error = TRANSIENT[case]()
    for wrap in wrappers:
        error = wrap(error)
    assert is_transient(error) is True


@settings(deadline=None)  # the first of a kind imports the library that raises it
@given(case=st.sampled_from(sorted(PERMANENT)), wrappers=st.lists(st.sampled_from(WRAPPERS), max_size=4))
def test_what_will_not_pass_is_known_below_any_wrapping(case: str, wrappers: list[Callable[[Exception], Exception]]) -> None:
    error = PERMANENT[case]()
    for wrap in wrappers:
        error = wrap(error)
    assert is_transient(error) is False


@given(permanent=st.sampled_from(sorted(PERMANENT)), transient=st.sampled_from(sorted(TRANSIENT)))
def test_the_outer_error_decides(permanent: str, transient: str) -> None:
    assert is_transient(raised_from(google_error(404), TRANSIENT[transient]())) is False
    assert is_transient(raised_from(google_error(503), RuntimeError(permanent))) is True


def test_a_mistake_while_another_error_was_handled_has_nothing_to_do_with_it() -> None:
    mistake = KeyError("absent")
    mistake.__context__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert is_transient(mistake) is False


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_interrupts_a_wait_is_not_kept(kind: type[BaseException]) -> None:
    interrupt = kind()
    interrupt.__context__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert is_transient(interrupt) is False


def test_errors_that_refer_to_each_other_end() -> None:
    one, other = LibraryError("one"), LibraryError("other")
    one.__cause__, other.__cause__ = other, one
    assert is_transient(one) is False


def test_a_server_says_when_to_come_again() -> None:
    import requests

    def answered(text: str) -> Exception:
        response = requests.Response()
        response.status_code, response.headers["Retry-After"] = 503, text
        return google_error(503, response=response)

    assert retry_after_seconds(answered("7"), now=0) == 7
    assert retry_after_seconds(caused(answered("7")), now=0) == 7
    assert retry_after_seconds(answered("Thu, 01 Jan 1970 00:01:00 GMT"), now=20) == 40
    assert retry_after_seconds(answered("Thu, 01 Jan 1970 00:01:00 GMT"), now=90) == 0
    assert retry_after_seconds(answered("soon"), now=0) == 0
    assert retry_after_seconds(boto_error(503, headers={"retry-after": "3"}), now=0) == 3
    assert retry_after_seconds(url_error(503), now=0) == 0
