"""Values that run parameters must not contain: references that Kubernetes would replace by a secret, and macros that are never expanded.

A parameter reaches a step as an argument of its container. Before the container starts, the kubelet replaces every ``$(NAME)`` in the arguments
with the pod's environment variable NAME, so the value of a secret would appear in logs, records and reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError

WINDOW_END = "data_window_end"
SCHEDULED = "scheduled"

SCHEDULED_WITH_CRON = re.compile(r"scheduled\s*\((.*)\)", re.IGNORECASE | re.DOTALL)

_VARIABLE = re.compile(r"\$\(([^)]*)\)?")
_MACRO = re.compile(r"\[\[\s*(ScheduledTime|CurrentTime|Index|RunUUID)\s*(\.[^\]]*)?\]\]", re.IGNORECASE)
_EXPANDED_UNDER_LATEST = re.compile(r"\[\[(CurrentTime(\.[^\]]+)?|RunUUID)\]\]")
_PLACEHOLDER = re.compile(r"\{\{\s*(=|\$|(workflow|inputs|outputs|tasks|steps|pod|node|item|retries|lastRetry|cronworkflow|job)\b)", re.IGNORECASE)
_SECRET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

DEEPEST = 32
"""Levels of nested text to inspect; no legitimate value is nested deeper."""


class ParameterValueError(SubmissionError):
    """A parameter value was rejected before anything was sent."""


def check_parameter_values(parameters: Mapping[str, Any], *, expands_macros: bool = False) -> None:
    """Reject values that would reveal a secret, would never be expanded, or would make KFP's driver fail.

    Args:
        parameters: Values by parameter name: text, numbers, lists, mappings; text may contain JSON or YAML.
        expands_macros: Whether the parameters belong to a schedule that tracks the latest version, the only kind for which KFP expands
            ``[[CurrentTime]]`` and ``[[RunUUID]]``.

    Raises:
        ParameterValueError: A value contains ``$(NAME)``, a macro or placeholder that would not be expanded, an invalid secret
            name, or an invalid schedule slot.
    """
    for name, value in parameters.items():
        for text in _texts(value):
            check_text(f"parameter {name!r}", text, expands_macros=expands_macros)
        if name == "secret_name" or name.endswith("_secret_name"):
            _check_secret_name(name, value)
        if name.endswith("window_end"):
            _check_slot(name, value)


def check_text(what: str, text: str, *, expands_macros: bool = False) -> None:
    """Reject text that contains ``$(NAME)``, or a macro or placeholder that would not be expanded.

    Args:
        what: Name of the value for the error message, such as ``parameter 'model_name'``.
        text: The text.
        expands_macros: Whether KFP expands ``[[CurrentTime]]`` and ``[[RunUUID]]`` in it.

    Raises:
        ParameterValueError: The text contains one of them.
    """
    variable = _VARIABLE.search(text)
    if variable:
        name = _shown(variable[1]) or "of that name"
        raise ParameterValueError(
            f"{what} contains {_shown(variable[0])}: Kubernetes replaces it with the value of the pod's environment variable {name}, "
            "which may be a secret, and it would appear in logs, records and reports ($$(NAME) does not prevent this). "
            "Remove it: steps read their secrets from the Kubernetes secret named in secret_name."
        )
    for macro in _MACRO.finditer(text):
        if not (expands_macros and _EXPANDED_UNDER_LATEST.fullmatch(macro[0])):
            raise ParameterValueError(f"{what} contains {_shown(macro[0])}: {_why_not_expanded(macro[1])} {_instead(macro[1])}")
    placeholder = _PLACEHOLDER.search(text)
    if placeholder:
        raise ParameterValueError(
            f"{what} contains {_shown(text[placeholder.start() : placeholder.start() + 40])}: this is an Argo or KFP placeholder, which is not expanded here, "
            f"or not as intended. Pass the value itself; for the time of a schedule, set {WINDOW_END} to {SCHEDULED}."
        )


def _why_not_expanded(macro: str) -> str:
    if macro.lower() in {"currenttime", "runuuid"}:
        return "KFP expands it only in schedules that track the latest version (--track latest), and only as [[CurrentTime]] and [[RunUUID]]."
    return "KFP does not expand it, so the step would receive the literal text."


def _instead(macro: str) -> str:
    if macro.lower() in {"scheduledtime", "currenttime"}:
        return f"Set {WINDOW_END} to {SCHEDULED}: it stands for the scheduled time."
    return f"Remove it. For the time of a schedule, set {WINDOW_END} to {SCHEDULED}; the run's record already contains its ID."


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _texts(value: Any, depth: int = 0, seen: dict[int, Any] | None = None) -> Iterator[str]:
    """Yield every text in a value: keys and values of mappings, entries of lists, and the parsed content of JSON or YAML text."""
    seen = {} if seen is None else seen
    if depth > DEEPEST:
        return
    if isinstance(value, (str, bytes)):
        text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
        yield text
        for parsed in _parsed(text):
            yield from _texts(parsed, depth + 1, seen)
    elif isinstance(value, (Mapping, list, tuple, set)):
        # YAML anchors may refer to one list a billion times. Keep a reference to the value so that its id is not reused.
        if id(value) in seen:
            return
        seen[id(value)] = value
        entries = [entry for pair in value.items() for entry in pair] if isinstance(value, Mapping) else list(value)
        for entry in entries:
            yield from _texts(entry, depth + 1, seen)


def _parsed(text: str) -> Iterator[Any]:
    """Yield text parsed as JSON and as YAML if it contains characters with which escapes could hide something."""
    if not any(character in text for character in "\\'!"):
        return
    for read in (json.loads, yaml.safe_load):
        try:
            parsed = read(text)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError, yaml.YAMLError):
            # Not JSON or YAML; PyYAML raises arbitrary errors for tags that do not fit their values.
            continue
        if parsed != text:
            yield parsed


def _check_secret_name(name: str, value: Any) -> None:
    text = "" if value is None else str(value)
    if not text.strip():
        raise ParameterValueError(f"parameter {name!r} is empty: KFP could not start a step with it. Write none, or the secret's name.")
    if not _SECRET_NAME.fullmatch(text):
        raise ParameterValueError(
            f"parameter {name!r} is {_shown(text)!r}: not a valid name for a Kubernetes secret. "
            "Expected lower-case letters, digits, '-' and '.'. Write none, or the secret's name."
        )


def _check_slot(name: str, value: Any) -> None:
    slot = SCHEDULED_WITH_CRON.fullmatch(str(value).strip())
    if slot:
        try:
            parse_cron(slot[1])
        except SubmissionError as error:
            raise ParameterValueError(f"parameter {name!r} is {value!r}: {error}") from error
