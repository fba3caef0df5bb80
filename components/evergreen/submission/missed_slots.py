"""Which run a paused schedule starts immediately when it is resumed: KFP runs the last missed slot."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError
from evergreen.submission.times import known_time

if TYPE_CHECKING:
    from evergreen.submission.connection import Connection
    from evergreen.submission.schedule import Schedule


def missed_slot(connection: Connection, schedule: Schedule, *, now: datetime | None = None) -> datetime | None:
    """Return the last slot that a paused schedule has missed since it last fired or was created; None if it missed none.

    Args:
        connection: The connection to the server.
        schedule: The schedule.
        now: The current time.
    """
    if schedule.enabled or schedule.made_at is None:
        return None
    try:
        last_slot = parse_cron(schedule.wanted.cron).last_time(now or datetime.now(timezone.utc))
    except SubmissionError:
        return None
    if last_slot <= max(schedule.made_at, _last_fired(connection, schedule.schedule_id) or schedule.made_at):
        return None
    return last_slot


def firing_on_resume(connection: Connection, schedule: Schedule, *, now: datetime | None = None) -> str | None:
    """Return a sentence on which runs a schedule starts immediately when it is resumed; None if it starts none."""
    slot = missed_slot(connection, schedule, now=now)
    if slot is None:
        return None
    if schedule.wanted.catch_up:
        return f"Schedule {schedule.name} missed slots while it was paused, the last at {slot:%Y-%m-%d %H:%M} UTC: it now runs each of them first."
    return (
        f"Schedule {schedule.name} missed its slot at {slot:%Y-%m-%d %H:%M} UTC while it was paused: KFP starts that run immediately. "
        "Earlier missed slots are not run."
    )


def _last_fired(connection: Connection, schedule_id: str) -> datetime | None:
    from evergreen.submission.runs import runs_of_schedule

    newest = next(runs_of_schedule(connection, schedule_id), None)
    return None if newest is None else known_time(newest.scheduled_at) or known_time(newest.created_at)
