"""Classifies errors by HTTP status and by the error codes of AWS, Google, Kafka, gRPC, MLflow and SQL databases."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

_PERMANENT_SERVER_STATUSES = frozenset({501, 505, 506, 508, 510, 511})
_TRANSIENT_CLIENT_STATUSES = frozenset({408, 425, 429})

# Errors that AWS asks clients to retry, regardless of their status.
_AWS = re.compile(
    r"RequestTimeout(?:Exception)?|SlowDown|(?:Request)?Thrott\w*|KMSThrottlingException|TooManyRequestsException|ProvisionedThroughputExceededException|"
    r"LimitExceededException|BandwidthLimitExceeded|Internal(?:Server)?Error|InternalFailure|ServiceUnavailable|ConditionalRequestConflict|OperationAborted"
)
_GOOGLE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError"})
_MLFLOW = frozenset({"TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"})
# Brokers that are unavailable, slow or changing. Unknown topics are excluded: they are misspelt more often than new.
_KAFKA = re.compile(
    r"_TRANSPORT|_RESOLVE|_MSG_TIMED_OUT|_ALL_BROKERS_DOWN|_TIMED_OUT|_TIMED_OUT_QUEUE|_WAIT_COORD|_QUEUE_FULL|REQUEST_TIMED_OUT|NETWORK_EXCEPTION|"
    r"(?:LEADER|BROKER|REPLICA|COORDINATOR|OFFSET)_NOT_AVAILABLE|NOT_LEADER_FOR_PARTITION|NOT_COORDINATOR|COORDINATOR_LOAD_IN_PROGRESS|"
    r"NOT_ENOUGH_REPLICAS(?:_AFTER_APPEND)?|KAFKA_STORAGE_ERROR|LISTENER_NOT_FOUND|FENCED_LEADER_EPOCH|UNKNOWN_LEADER_EPOCH|THROTTLING_QUOTA_EXCEEDED"
)
_GRPC = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
_SQLSTATES = ("08", "53", "57P01", "57P02", "57P03", "57P05", "40001", "40P01", "55P03")
_MYSQL = frozenset({1040, 1053, 1205, 1213, 2002, 2003, 2006, 2013, 2055, 4031})


def is_transient_status(status: int) -> bool:
    """Return whether a request that failed with this HTTP status may succeed if retried."""
    return status in _TRANSIENT_CLIENT_STATUSES or (500 <= status < 600 and status not in _PERMANENT_SERVER_STATUSES)


def verdict_of_mlflow(link: BaseException, classes: set[str]) -> bool | None:
    """Return whether an MLflow error is transient according to its code, or None if the code does not tell."""
    if "mlflow.MlflowException" not in classes:
        return None
    code = getattr(link, "error_code", "")
    if "mlflow.RestException" in classes:
        # MLflow reports a rejection whose body has no code, such as a proxy's, as an internal error. Its HTTP layer has already counted
        # genuine ones, so trust only a code that the body itself contains.
        told = getattr(link, "json", {}).get("error_code")
        return code in _MLFLOW or (code == told == "INTERNAL_ERROR")
    # MLflow itself labels every unclassified error as internal, and every database error as temporary.
    status = getattr(link, "get_http_status_code", lambda: 0)()
    return False if 400 <= status < 500 and not is_transient_status(status) else None


def verdict_of_broker(link: BaseException, classes: set[str]) -> bool | None:
    """Return whether a Kafka or gRPC error is transient according to its code, or None if the code does not tell."""
    if {"confluent_kafka.KafkaException", "cimpl.KafkaException"} & classes:
        told: Any = link.args[0] if link.args else None
        return bool(told is not None and hasattr(told, "retriable") and (_KAFKA.fullmatch(told.name()) or told.retriable()))
    code = getattr(link, "code", None)
    return getattr(code(), "name", "") in _GRPC if "grpc.RpcError" in classes and callable(code) else None


def verdict_of_service(link: BaseException, classes: set[str]) -> bool | None:  # noqa: ARG001  # one signature for all
    """Return whether an error of an HTTP service is transient according to its code or status, or None if they do not tell."""
    if _AWS.fullmatch(_aws_code(link)) or _GOOGLE_REASONS & _google_reasons(link) or getattr(link, "retryable", None) is True:
        return True
    status = _http_status(link)
    return is_transient_status(status) if status else None


def verdict_of_database(link: BaseException, classes: set[str]) -> bool | None:
    """Return whether a database error is transient according to its code, or None if the code does not tell."""
    if getattr(link, "connection_invalidated", False):
        return True
    if isinstance(link, sqlite3.OperationalError):
        return "locked" in str(link) or "busy" in str(link)
    state = getattr(link, "sqlstate", None) or getattr(link, "pgcode", None)
    if isinstance(state, str) and len(state) == 5 and {"psycopg.Error", "psycopg2.Error", "asyncpg.PostgresError"} & classes:
        return state.startswith(_SQLSTATES)
    if {"pymysql.MySQLError", "MySQLdb.MySQLError", "mysql.Error"} & classes and link.args and isinstance(link.args[0], int):
        return link.args[0] in _MYSQL
    return None


def header_of(link: BaseException, name: str) -> str:
    """Return a header of the response attached to an error, or an empty text."""
    response = getattr(link, "response", None)
    if isinstance(response, dict):
        return str(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name.lower()) or "")
    headers: Any = getattr(response, "headers", None) or getattr(link, "headers", None)
    return str(headers.get(name) or "") if hasattr(headers, "get") else ""


def _http_status(link: BaseException) -> int:
    response = getattr(link, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None) or getattr(response, "status", None)
    candidates = [found, *(getattr(link, name, None) for name in ("status_code", "status", "code"))]
    return next((int(number) for number in candidates if isinstance(number, int) and not isinstance(number, bool) and 400 <= number < 600), 0)


def _aws_code(link: BaseException) -> str:
    response = getattr(link, "response", None)
    error = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(error.get("Code", "")) if isinstance(error, dict) else ""


def _google_reasons(link: BaseException) -> set[str]:
    errors = getattr(link, "errors", None)
    return {str(each.get("reason")) for each in errors if isinstance(each, dict)} if isinstance(errors, (list, tuple)) else set()
