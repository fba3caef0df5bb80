"""Cron expressions as Kubeflow Pipelines reads them: description in words, next times and last time.

KFP's scheduler (robfig/cron for Go, version 1) expects six fields, seconds first. It silently accepts five and reads them as seconds to
months, so ``0 3 * * *`` would fire every hour instead of every day. Here, five fields therefore have their usual crontab meaning, and KFP
always receives six.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.errors import EvergreenError

FIELDS = ("second", "minute", "hour", "day of the month", "month", "day of the week")

ONE_PART = re.compile(r"^(\*|\?|[0-9]+|[A-Za-z]{3})(-([0-9]+|[A-Za-z]{3}))?(/[1-9][0-9]*)?$")
"""The syntax that robfig/cron supports: no ``L``, ``W`` or ``#``."""


@dataclass(frozen=True)
class Cron:
    """A validated cron expression.

    Attributes:
        expression: Six fields, seconds first, as KFP expects them.
    """

    expression: str

    def in_words(self) -> str:
        """Describe in English when it fires, in UTC."""
        from cron_descriptor import ExpressionDescriptor, Options

        options = Options()
        options.use_24hour_time_format = True
        words = ExpressionDescriptor(self.expression, options).get_description()
        return f"{words} (UTC)"

    def next_times(self, count: int, *, after: datetime | None = None) -> list[datetime]:
        """Return the next times at which it fires, in UTC."""
        from croniter import croniter

        start = after or datetime.now(timezone.utc)
        times = croniter(self.expression, start, second_at_beginning=True)
        return [times.get_next(datetime) for _ in range(count)]

    def last_time(self, at: datetime) -> datetime:
        """Return the last time at which it fired, at or before the given time."""
        from croniter import croniter

        # croniter searches strictly before its start; schedules have a resolution of one second.
        after = at.astimezone(timezone.utc).replace(microsecond=0) + timedelta(seconds=1)
        fired: datetime = croniter(self.expression, after, second_at_beginning=True).get_prev(datetime)
        return fired


def parse_cron(text: str, *, error: type[EvergreenError]) -> Cron:
    """Parse a cron expression of five fields (as in a crontab) or six (seconds first).

    Args:
        text: The expression.
        error: The exception type to raise.

    Raises:
        EvergreenError: Of type ``error``: the number of fields or a field is invalid, KFP would read it differently, or it never fires.
    """
    from croniter import CroniterBadCronError, CroniterBadDateError

    fields = text.split()
    if len(fields) not in {5, 6}:
        raise error(
            f"cron {text!r}: expected five fields (minute, hour, day of the month, month, day of the week) or six with the second first, found {len(fields)}. "
            "Every day at 03:00 UTC is '0 3 * * *'."
        )
    if len(fields) == 5:
        fields.insert(0, "0")
    for name, field in zip(FIELDS, fields, strict=True):
        _check_field(text, name, field, error)
    _check_days(text, days=fields[3], weekdays=fields[5], error=error)
    cron = Cron(" ".join(fields))
    try:
        cron.next_times(1)
    except CroniterBadDateError as problem:
        raise error(f"cron {text!r}: never fires. Check that the day exists in the month.") from problem
    except (CroniterBadCronError, ValueError) as problem:
        raise error(f"cron {text!r}: {problem}. Expected numbers in range, names such as MON or JAN, and *, -, / and commas.") from problem
    return cron


def _check_field(text: str, name: str, field: str, error: type[EvergreenError]) -> None:
    for part in field.split(","):
        if not ONE_PART.match(part):
            raise error(f"cron {text!r}: the {name} is {field!r}: KFP's scheduler supports numbers, names such as MON or JAN, and *, ?, -, / and commas.")
        if "?" in part and not name.startswith("day"):
            raise error(f"cron {text!r}: the {name} is {field!r}: ? is only valid for the day of the month or of the week. Write * instead.")
    if name == "day of the week" and re.search(r"(^|[^0-9/])7", field):
        raise error(f"cron {text!r}: the day of the week is {field!r}: KFP's scheduler counts from 0 (Sunday) to 6. Write 0 for Sunday.")


def _check_days(text: str, *, days: str, weekdays: str, error: type[EvergreenError]) -> None:
    """Reject a day step combined with another day restriction: crontabs require either to match, KFP's scheduler both."""
    for stepped, other in ((days, weekdays), (weekdays, days)):
        if stepped.startswith(("*/", "?/")) and other not in {"*", "?"}:
            raise error(
                f"cron {text!r}: {stepped!r} and {other!r} restrict the day twice, and schedulers differ on whether both must match or only one. "
                "Write one of them as *, or list the days."
            )
