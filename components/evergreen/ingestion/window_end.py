"""Resolves the end of a window: ``latest``, a time, the schedule slot of the run, or the end of an earlier decision's window."""

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
# Macros and placeholders that KFP and Argo did not expand.
_MACRO = re.compile(r"\[\[.*?\]\]|\{\{.*?\}\}", re.DOTALL)
_COMPACT_FORMATS = {14: "%Y%m%d%H%M%S", 8: "%Y%m%d"}
_SCHEDULED_BY = re.compile(r"scheduled\s*\((?P<cron>.*)\)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class WindowEnd:
    """The resolved end of a window.

    Attributes:
        text: ``latest`` or a time.
        slot: The schedule slot, ISO, UTC; empty if the end does not come from a schedule.
    """

    text: str
    slot: str = ""


def resolve_window_end(window_end: str, *, schedule_time: str = NOTHING, decision: Any = None) -> WindowEnd:
    """Resolve the end of a window.

    ``scheduled`` is the schedule slot. For a schedule that always runs the newest version of a pipeline, KFP passes the run's creation
    time instead, slightly after the slot; in that case ``scheduled(0 3 * * *)`` is the last slot of that cron expression. If the scheduled
    time is not given, as on a laptop, both mean ``latest``.

    Args:
        window_end: ``scheduled``, ``scheduled(CRON)``, ``latest``, ``decision`` (the end of the decision's window), or a time.
        schedule_time: When the run was scheduled, or ``none``; used only if the window ends at that time.
        decision: Artifact of decide_retraining; may be absent.

    Raises:
        IngestionError: A word, a time or a cron expression is invalid, or KFP did not expand a macro.
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
    """Parse the requested end.

    Args:
        window_end: ``latest``, an ISO time (UTC if it has no time zone), or an expanded KFP macro (``20060102150405``, or only its date).

    Returns:
        Microseconds since 1970, UTC; None for the newest event.

    Raises:
        IngestionError: The text is not a time, or is a macro that KFP did not expand.
    """
    text = window_end.strip()
    if text.lower() == LATEST:
        return None
    if text.lower() == SCHEDULED or _SCHEDULED_BY.fullmatch(text):
        raise IngestionError(
            f"window_end {window_end!r}: only ingest_data and assess_model know when a run was scheduled. "
            "Pass the time that they returned, an ISO time, or 'latest'."
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
            f"{parameter} {text!r}: Kubeflow Pipelines did not expand {macro[0]}, so it is not a time. Set data_window_end to 'scheduled': "
            "the pipeline itself passes the scheduled time. If KFP does not expand that either, use 'latest' or an ISO time."
        )


def _decided_end(decision: Any) -> str:
    decided = read_json(decision.path) if is_present(decision) else {}
    end = decided.get("window_end")
    if not isinstance(end, str):
        raise IngestionError(
            f"window_end {DECISION!r}: the step received no decision with a window end. "
            "Pass it the decision of decide_retraining or assess_model, or use another window_end."
        )
    parse_window_end(end)
    return end
