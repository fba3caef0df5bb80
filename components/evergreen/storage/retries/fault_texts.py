"""Classifies errors by their text, for libraries that keep nothing else of the errors they wrap."""

from __future__ import annotations

import re

from evergreen.storage.retries.fault_codes import is_transient_status

_LIBRARIES = re.compile(
    r"mlflow|requests|urllib3|botocore|google|httpx|dvc\w*|scmrepo|dulwich|_?pygit2|git|asyncssh|fsspec|gcsfs|s3fs|"
    r"psycopg2?|pg8000|pymysql|MySQLdb|mysql|oracledb|pyodbc|snowflake|sqlalchemy"
)
"""Libraries with errors that carry only text."""

_BAD_CERTIFICATE = re.compile(
    r"certificate[ _]verify[ _]failed|certificate (?:has expired|is not trusted)|self.signed certificate|hostname .* doesn't match", re.IGNORECASE
)
_STATUS = re.compile(
    r"\b(\d{3}) (?:client|server) error|too many (\d{3}) error responses|error code:? (\d{3})\b|status(?: code)?:? (\d{3})\b|"
    r"http(?:/\d(?:\.\d)?)?(?: error)?:? (\d{3})\b|tunnel connection failed: (\d{3})|unexpected http resp (\d{3})|returned error: (\d{3})\b",
    re.IGNORECASE,
)
_FOR_GOOD = re.compile(
    r"authentication failed|no pg_hba\.conf entry|(?:database|role|user) \S+ does not exist|access denied|permission denied|unauthori[sz]ed|forbidden|"
    r"invalid credentials|could not read username|no such (?:table|column)|unable to open database file|readonly database",
    re.IGNORECASE,
)
_MAY_PASS = re.compile(
    r"connection (?:was |is )?(?:refused|reset|aborted|closed|broken|lost|timed out)|broken pipe|remote end closed|incomplete ?read|eof occurred|"
    r"unexpected eof|time[d-]? ?out|temporary failure in name resolution|name or service not known|no address associated|nodename nor servname|"
    r"could not (?:translate|resolve) host|failed to resolve|"
    r"network is unreachable|no route to host|server closed the connection|has gone away|lost connection|"
    r"terminating connection|starting up|shutting down|in recovery mode|too many (?:clients|connections)|connection slots|database is locked|deadlock|"
    r"temporarily unavailable|service unavailable|bad gateway|failed to connect to|max retries exceeded",
    re.IGNORECASE,
)


def names_bad_certificate(link: BaseException) -> bool:
    """Return whether an error's text says that a server's certificate is not trusted."""
    return _tells_by_text(link) and _BAD_CERTIFICATE.search(str(link)) is not None


def verdict_of_text(link: BaseException) -> bool | None:
    """Return whether an error is transient according to its text, or None if the text does not tell.

    A text that combines several errors, such as those of a multi-file download, is transient only if each of them is.
    """
    if not _tells_by_text(link):
        return None
    text = str(link)
    statuses = {int(next(filter(None, found.groups()))) for found in _STATUS.finditer(text)}
    statuses = {status for status in statuses if 400 <= status < 600}
    if statuses:
        return all(is_transient_status(status) for status in statuses)
    if _FOR_GOOD.search(text):
        return False
    return True if _MAY_PASS.search(text) else None


def _tells_by_text(link: BaseException) -> bool:
    return any(_LIBRARIES.fullmatch(kind.__module__.partition(".")[0]) for kind in type(link).__mro__)
