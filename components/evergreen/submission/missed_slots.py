"""Which run a paused schedule starts at once when it is resumed: KFP makes up for the last slot that was missed."""

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
    """Return the last slot that a paused schedule has missed since it last fired, or was made; nothing when it missed none.

    Args:
        connection: To the server.
        schedule: The schedule.
        now: The present time.
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
    """Say which runs a schedule starts at once when it is resumed; nothing when it starts none."""
    slot = missed_slot(connection, schedule, now=now)
    if slot is None:
        return None
    if schedule.wanted.catch_up:
        return f"Schedule {schedule.name} has missed slots while it was paused, the last at {slot:%Y-%m-%d %H:%M} UTC: it now first runs each of them."
    return (
        f"Schedule {schedule.name} has missed its slot of {slot:%Y-%m-%d %H:%M} UTC while it was paused: KFP starts that run at once. "
        "Earlier slots that were missed are not made up for."
    )


def _last_fired(connection: Connection, schedule_id: str) -> datetime | None:
    from evergreen.submission.runs import runs_of_schedule

    newest = next(runs_of_schedule(connection, schedule_id), None)
    return None if newest is None else known_time(newest.scheduled_at) or known_time(newest.created_at)
