"""What no parameter of a run may hold: the name of a secret that Kubernetes would fill in, and macros that nobody fills in.

A parameter reaches a step as an argument of its container. Before the container starts, the kubelet replaces ``$(NAME)`` in arguments by
the pod's environment variable NAME, wherever it stands: the value of a secret would come out in logs, records and reports.
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
"""Levels of text inside of text that are looked into; nobody means to nest deeper."""


class ParameterValueError(SubmissionError):
    """The value of a parameter is refused before anything is sent."""


def check_parameter_values(parameters: Mapping[str, Any], *, expands_macros: bool = False) -> None:
    """Refuse values that would reveal a secret, that nobody fills in, or that KFP's driver would stumble over.

    Args:
        parameters: Values by the parameters' names: text, numbers, lists, mappings; text may hold JSON or YAML.
        expands_macros: The parameters are those of a schedule that tracks the latest version, the only one for which KFP expands
            ``[[CurrentTime]]`` and ``[[RunUUID]]``.

    Raises:
        ParameterValueError: A value holds ``$(NAME)``, a macro or placeholder that stays as it is, a name of a secret that is
            none, or a slot of a schedule that cannot be read.
    """
    for name, value in parameters.items():
        for text in _texts(value):
            check_text(f"parameter {name!r}", text, expands_macros=expands_macros)
        if name == "secret_name" or name.endswith("_secret_name"):
            _check_secret_name(name, value)
        if name.endswith("window_end"):
            _check_slot(name, value)


def check_text(what: str, text: str, *, expands_macros: bool = False) -> None:
    """Refuse a text that holds ``$(NAME)``, or a macro or placeholder that nobody fills in.

    Args:
        what: What it is, for the message: ``parameter 'model_name'``.
        text: The text.
        expands_macros: KFP expands ``[[CurrentTime]]`` and ``[[RunUUID]]`` in it.

    Raises:
        ParameterValueError: It does.
    """
    variable = _VARIABLE.search(text)
    if variable:
        name = _shown(variable[1]) or "of that name"
        raise ParameterValueError(
            f"{what} holds {_shown(variable[0])}: Kubernetes replaces it by the value of the pod's environment variable {name}, "
            "which may be a secret, and it would stand in logs, records and reports ($$(NAME) is no way around that). "
            "Remove it: a step reads its secrets itself, from the Kubernetes secret that secret_name names."
        )
    for macro in _MACRO.finditer(text):
        if not (expands_macros and _EXPANDED_UNDER_LATEST.fullmatch(macro[0])):
            raise ParameterValueError(f"{what} holds {_shown(macro[0])}: {_why_not_expanded(macro[1])} {_instead(macro[1])}")
    placeholder = _PLACEHOLDER.search(text)
    if placeholder:
        raise ParameterValueError(
            f"{what} holds {_shown(text[placeholder.start() : placeholder.start() + 40])}: it is a placeholder of Argo or KFP, which nothing fills in here, "
            f"or with something else. Write the value itself; for the time of a schedule write {SCHEDULED} in {WINDOW_END}."
        )


def _why_not_expanded(macro: str) -> str:
    if macro.lower() in {"currenttime", "runuuid"}:
        return "KFP expands it only in schedules that track the latest version (--track latest), and only as [[CurrentTime]] and [[RunUUID]]."
    return "KFP does not expand it, so the step would get these very characters."


def _instead(macro: str) -> str:
    if macro.lower() in {"scheduledtime", "currenttime"}:
        return f"Write {SCHEDULED} in {WINDOW_END}: it stands for the time that the schedule set."
    return f"Remove it. For the time of a schedule, write {SCHEDULED} in {WINDOW_END}; the run's id is in its record already."


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _texts(value: Any, depth: int = 0, seen: dict[int, Any] | None = None) -> Iterator[str]:
    """Yield every text in a value: keys and values of mappings, entries of lists, and what text that is JSON or YAML comes to."""
    seen = {} if seen is None else seen
    if depth > DEEPEST:
        return
    if isinstance(value, (str, bytes)):
        text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
        yield text
        for parsed in _parsed(text):
            yield from _texts(parsed, depth + 1, seen)
    elif isinstance(value, (Mapping, list, tuple, set)):
        # YAML's anchors may name one list a billion times. The value is kept, so that no other one gets its id meanwhile.
        if id(value) in seen:
            return
        seen[id(value)] = value
        entries = [entry for pair in value.items() for entry in pair] if isinstance(value, Mapping) else list(value)
        for entry in entries:
            yield from _texts(entry, depth + 1, seen)


def _parsed(text: str) -> Iterator[Any]:
    """Yield what text comes to as JSON and as YAML, where escapes can hide something in it: read so, it may say more than it shows."""
    if not any(character in text for character in "\\'!"):
        return
    for read in (json.loads, yaml.safe_load):
        try:
            parsed = read(text)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError, yaml.YAMLError):
            # It is no JSON or YAML; PyYAML raises anything for tags that do not fit their values.
            continue
        if parsed != text:
            yield parsed


def _check_secret_name(name: str, value: Any) -> None:
    text = "" if value is None else str(value)
    if not text.strip():
        raise ParameterValueError(f"parameter {name!r} is empty: KFP could not start a step with it. Write none, or the secret's name.")
    if not _SECRET_NAME.fullmatch(text):
        raise ParameterValueError(
            f"parameter {name!r} is {_shown(text)!r}: no Kubernetes secret can have that name. "
            "Expected lower-case letters, digits, '-' and '.'. Write none, or the secret's name."
        )


def _check_slot(name: str, value: Any) -> None:
    slot = SCHEDULED_WITH_CRON.fullmatch(str(value).strip())
    if slot:
        try:
            parse_cron(slot[1])
        except SubmissionError as error:
            raise ParameterValueError(f"parameter {name!r} is {value!r}: {error}") from error
