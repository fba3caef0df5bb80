"""The log of a step, as far as KFP still has it, and the error it ends with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from evergreen.submission.errors import SubmissionError

if TYPE_CHECKING:
    from evergreen.submission.connection import Connection

LOG_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"
"""KFP serves logs here only, not under v1beta1 or v2beta1."""

LONGEST_ERROR = 2000
MOST_PODS = 9

_TRACEBACK = "Traceback (most recent call last):"
# The launcher that runs the step adds its own output: klog and logrus lines, and its exit message. Python loggers write a level or a time.
_LOG_LINE = re.compile(
    r"^([IWEF]\d{4} \d\d:\d\d:\d\d|time=\"|\{\"|goroutine \d+|Error: exit status|\d{4}[/-]\d\d[/-]\d\d[ T]\d\d:\d\d:\d\d|(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b)"
)
_NAMED_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout)(: |$)")
_DRIVER_ERROR = re.compile(r"^[EF]\d{4} [\d:.]+\s+\d+ [^\]]+\] (.*)")


def read_log(connection: Connection, run_id: str, pods: Iterable[str]) -> tuple[str, str] | None:
    """Return the first available log.

    Args:
        connection: The connection to the server.
        run_id: ID of the run.
        pods: Possible names of the pod, most likely first.

    Returns:
        The name of the pod and the end of its log; None if the pod is gone and its log was not kept.
    """
    for pod in list(pods)[:MOST_PODS]:
        try:
            text = connection.read_text(LOG_PATH, {"run_id": run_id, "node_id": pod}, purpose=f"reading the log of {pod}")
        except SubmissionError:
            continue
        if text.strip():
            return pod, text
    return None


def last_error(log: str) -> str:
    """Return the error a step ended with: ``ExceptionType: message``, with all lines of the message.

    Args:
        log: The log of the step, or the end of it.

    Returns:
        The error; empty if the log contains no Python error.
    """
    lines = log.splitlines()
    raised = _raised(lines)
    ends = 0 if raised is None else _end_of_message(lines, raised)
    # A traceback may belong to an error that was handled and only logged.
    later = next((number for number in range(len(lines) - 1, ends - 1, -1) if _NAMED_ERROR.match(lines[number])), None)
    start = raised if later is None else later
    return "" if start is None else shortened("\n".join(lines[start : _end_of_message(lines, start)]).strip())


def last_driver_error(log: str) -> str:
    """Return the error that KFP's driver ended with."""
    found = [match[1] for line in log.splitlines() if (match := _DRIVER_ERROR.match(line))]
    return shortened(found[-1]) if found else last_line(log)


def last_line(log: str) -> str:
    """Return the last line of a log that was not written by the launcher."""
    lines = [line for line in log.splitlines() if line.strip() and not _LOG_LINE.match(line)]
    return shortened(lines[-1].strip()) if lines else ""


def shortened(text: str) -> str:
    """Return a message, truncated to about a screen."""
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."


def _raised(lines: list[str]) -> int | None:
    """Return the number of the line that ends the last traceback, which names the error."""
    start = next((number for number in range(len(lines) - 1, -1, -1) if lines[number].strip() == _TRACEBACK), None)
    if start is None:
        return None
    # Everything in a traceback is indented except its last line.
    return next((number for number in range(start + 1, len(lines)) if lines[number][:1].strip() and not _LOG_LINE.match(lines[number])), None)


def _end_of_message(lines: list[str], start: int) -> int:
    """Return the number of the line after a message, which may span several lines: it ends at a log line or a repetition of the error."""
    for number in range(start + 1, len(lines)):
        if _LOG_LINE.match(lines[number]) or lines[number] in {lines[start], _TRACEBACK}:
            return number
    return len(lines)
