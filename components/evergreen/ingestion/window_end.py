"""Where a window ends: ``latest``, a time, the slot of the schedule that started the run, or what an earlier step decided about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from evergreen.data.artifacts import is_present, read_json
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import iso_event_time, parse_iso_time
from evergreen.storage.uris import NOTHING, is_nothing

LATEST = "latest"
SCHEDULED = "scheduled"
DECISION = "decision"
EXPECTED = "'scheduled', 'latest', an ISO time such as 2024-01-31T00:00:00Z, or a KFP time such as 20240131000000"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# What KFP and Argo leave in place of a macro or placeholder that they did not expand.
_MACRO = re.compile(r"\[\[.*?\]\]|\{\{.*?\}\}", re.DOTALL)
_COMPACT_FORMATS = {14: "%Y%m%d%H%M%S", 8: "%Y%m%d"}
_SCHEDULED_BY = re.compile(r"scheduled\s*\((?P<cron>.*)\)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class WindowEnd:
    """Where a window ends, once it is known what the words in the parameters stand for.

    Attributes:
        text: ``latest`` or a time.
        slot: The schedule's slot, ISO, UTC; empty when the end does not come from a schedule.
    """

    text: str
    slot: str = ""


def resolve_window_end(window_end: str, *, schedule_time: str = NOTHING, decision: Any = None) -> WindowEnd:
    """Return what a window's end stands for.

    ``scheduled`` is the schedule's slot. Where a schedule always runs the newest version of a pipeline, KFP gives the run's creation
    time instead, a little after the slot; ``scheduled(0 3 * * *)`` is the last slot of that cron expression then. Where nobody says when
    the run was scheduled, as on a laptop, both mean ``latest``.

    Args:
        window_end: ``scheduled``, ``scheduled(CRON)``, ``latest``, ``decision`` (the end of the window that the decision is about), or a time.
        schedule_time: When the run was scheduled, or ``none``; looked at only when the window ends then.
        decision: Artifact of decide_retraining; may be absent.

    Raises:
        IngestionError: A word, a time or a cron expression cannot be read, or KFP left a macro as it is.
    """
    word = window_end.strip()
    _refuse_macro(word, parameter="window_end")
    if word.lower() == DECISION:
        return WindowEnd(_decided_end(decision))
    by_cron = _SCHEDULED_BY.fullmatch(word)
    if by_cron is None and word.lower() != SCHEDULED:
        parse_window_end(word)
        return WindowEnd(word)
    cron = None
    if by_cron is not None:
        from evergreen.ingestion.cron import parse_cron

        cron = parse_cron(by_cron["cron"].strip(), error=IngestionError)
    if is_nothing(schedule_time):
        return WindowEnd(LATEST)
    slot = _time_of(schedule_time, parameter="schedule_time", expected="the time at which the run was scheduled, ISO, or 'none'")
    if cron is not None:
        slot = (cron.last_time(_EPOCH + timedelta(microseconds=slot)) - _EPOCH) // timedelta(microseconds=1)
    return WindowEnd(iso_event_time(slot), slot=iso_event_time(slot))


def parse_window_end(window_end: str) -> int | None:
    """Return the end that was asked for.

    Args:
        window_end: ``latest``, an ISO time (without a zone it is UTC), or an expanded KFP macro (``20060102150405``, or only its date).

    Returns:
        Microseconds since 1970, UTC; None for the newest event.

    Raises:
        IngestionError: The text is no time, or a macro that KFP did not expand.
    """
    text = window_end.strip()
    if text.lower() == LATEST:
        return None
    if text.lower() == SCHEDULED or _SCHEDULED_BY.fullmatch(text):
        raise IngestionError(
            f"window_end {window_end!r}: only ingest_data and assess_model are told when a run was scheduled. "
            "Give the time that they returned, an ISO time, or 'latest'."
        )
    return _time_of(text, parameter="window_end", expected=EXPECTED)


def _time_of(text: str, *, parameter: str, expected: str) -> int:
    _refuse_macro(text, parameter=parameter)
    text = text.strip()
    compact = _COMPACT_FORMATS.get(len(text)) if text.isascii() and text.isdigit() else None
    if compact is None:
        parsed = parse_iso_time(text)
    else:
        try:
            parsed = (datetime.strptime(text, compact).replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1)
        except ValueError:
            parsed = None
    if parsed is None:
        raise IngestionError(f"{parameter} {text!r}: expected {expected}. Correct the parameter.")
    return parsed


def _refuse_macro(text: str, *, parameter: str) -> None:
    macro = _MACRO.search(text)
    if macro is not None:
        raise IngestionError(
            f"{parameter} {text!r}: Kubeflow Pipelines left {macro[0]} as it is, so it says no time. Give 'scheduled' as data_window_end: "
            "the pipeline passes the time of the schedule itself. Where KFP does not fill that in either, give 'latest' or an ISO time."
        )


def _decided_end(decision: Any) -> str:
    decided = read_json(decision.path) if is_present(decision) else {}
    end = decided.get("window_end")
    if not isinstance(end, str):
        raise IngestionError(
            f"window_end {DECISION!r}: the step was given no decision that says where its window ended. "
            "Give it the decision of decide_retraining or assess_model, or another window_end."
        )
    parse_window_end(end)
    return end
