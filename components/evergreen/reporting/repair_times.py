"""Since when a champion is degraded, and what happens next and when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from evergreen.data.times import iso_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.reporting.step_results import StepResults
    from evergreen.results.decision import Decision
    from evergreen.results.repair import Outlook, SinceSource
    from evergreen.runs.records import StepRecord

FEW_ROWS = "few_rows"
"""The policy's rule that waits for rows since the change."""

FARTHEST_LOOK_DAYS = 3650
"""A pace of rows that needs longer than this to reach a number of rows is no forecast."""


def moment_of(text: str) -> datetime | None:
    """Return an ISO time, in UTC if it names no zone; None for any other text."""
    try:
        time = parse_time(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def day_of(text: str) -> str:
    """Return the day of an ISO time for a person: ``9 October 2021``; any other text unchanged."""
    time = moment_of(text)
    if time is None:
        return text
    utc = time.astimezone(timezone.utc)
    return f"{utc.day} {utc:%B} {utc.year}"


def degraded_since(steps: Mapping[str, StepRecord], found: StepResults, decision: Decision) -> tuple[str, SinceSource, str]:
    """Return since when the champion is degraded, how that is known, and both in one sentence.

    Args:
        steps: Records of the steps, by name.
        found: Results of the steps.
        decision: The decision.
    """
    changed, rows = _change(found, decision)
    if moment_of(changed) is not None:
        since_then = f"; {rows:,} labelled rows have come since" if rows else ""
        return changed, "change point", f"The champion's errors changed on {day_of(changed)}, estimated from its errors in time order{since_then}."
    outlook = decision.outlook
    first_end = moment_of(outlook.first_window_end if outlook else decision.window_end)
    if first_end is None:
        return "", "unknown", "It is unknown since when: the end of the window was not recorded."
    windows = outlook.windows if outlook else 1
    row = "the first window in which it was degraded" if windows == 1 else f"the first of {windows} windows in a row in which it was degraded"
    length = _window_length(steps, decision)
    if length is None:
        since = iso_time(first_end)
        return since, "first degraded window", f"{day_of(since)} is the end of {row}; the change came before it, and its exact time is not known."
    since = iso_time(_not_before_fit_end(first_end - length, steps))
    return since, "first degraded window", f"{day_of(since)} is the start of {row}; the change may have come later within it."


def _change(found: StepResults, decision: Decision) -> tuple[str, int]:
    """Return since when the champion's errors differ, ISO or empty, and the number of labelled rows since then, 0 if unknown."""
    choice, performance = found.choice, found.performance
    if choice is not None and choice.changed_at:
        # The training step looks at all rows that are new to the champion, monitoring only at the window and a sample of those before.
        return choice.changed_at, choice.rows_since_change
    if performance is None:
        return decision.changed_at, 0
    return decision.changed_at or performance.changed_at, performance.rows_since_change


def _window_length(steps: Mapping[str, StepRecord], decision: Decision) -> timedelta | None:
    """Return the time from the start of the monitored window to its end, or None."""
    ingested = steps.get("ingest_window")
    start = moment_of(str(ingested.details.get("window_start", ""))) if ingested else None
    end = moment_of(decision.window_end)
    return end - start if start is not None and end is not None and start < end else None


def _not_before_fit_end(start: datetime, steps: Mapping[str, StepRecord]) -> datetime:
    loaded = steps.get("load_champion")
    fit_end = moment_of(str(loaded.details.get("fit_end", ""))) if loaded else None
    # Rows that the champion has seen are not scored.
    return start if fit_end is None else max(start, fit_end)


def next_steps(cause: str, found: StepResults, decision: Decision) -> list[str]:
    """Return what happens next and when, one sentence each.

    Args:
        cause: Why the champion was not repaired, as in `Repair`.
        found: Results of the steps.
        decision: The decision.
    """
    said = []
    if cause == "failed":
        said.append("Correct the error and start the run again: completed work is not repeated.")
    elif cause == "waiting for approval":
        said.append("The champion stays degraded until a person approves the waiting version.")
    elif cause == "dry run":
        said.append("Nothing is promoted as long as policy_mode is dry-run.")
    outlook = decision.outlook
    window_end = outlook.next_window_end if outlook else ""
    said.append(f"The next window is expected to end on {day_of(window_end)}." if window_end else "The next run looks at the next window.")
    if outlook is not None and cause not in ("failed", "waiting for approval", "dry run"):
        said += _wait(outlook, decision.rule)
    return [*said, *_next_look(found, decision)]


def _wait(outlook: Outlook, rule: str) -> list[str]:
    if outlook.waits_until:
        ends = "The cool-down ends" if rule == "cooldown" else "The budget allows another retraining"
        return [f"{ends} on {day_of(outlook.waits_until)}; until then, the policy does not retrain."]
    wait = outlook.windows_to_wait
    if wait is None and rule == FEW_ROWS:
        return []
    if wait is None:
        return ["With the settings as they are, no retraining is in sight." if outlook.next_window_end else "When the policy retrains next is unknown."]
    when = f", which is expected to end on {day_of(outlook.retrains_at)}" if outlook.retrains_at and wait > 1 else ""
    which = "in the next window" if wait == 1 else f"in window {wait} from now{when}"
    return [f"If performance stays as it is, the policy retrains {which}."]


def _next_look(found: StepResults, decision: Decision) -> list[str]:
    """Return when enough rows will have come since the change for the next challenger to be worth its cost."""
    performance, choice = found.performance, found.choice
    if decision.rule == FEW_ROWS and performance is not None:
        wanted = int(decision.policy.get("minimum_rows_since_change") or 0)
        return _pace("A challenger is trained", performance.rows_since_change, wanted, performance.changed_at, decision)
    if choice is None or choice.next_look_rows is None:
        return []
    return _pace("Another challenger is worth its cost", choice.rows_since_change, choice.next_look_rows, choice.changed_at, decision)


def _pace(what: str, rows: int, wanted: int, changed_at: str, decision: Decision) -> list[str]:
    """Return when a number of rows will have come since the change, judging by how fast they came so far; nothing if they have."""
    if wanted <= rows:
        return []
    words = f"{what} when about {wanted:,} rows have come since the change ({rows:,} so far)"
    now, changed = moment_of(decision.window_end), moment_of(changed_at)
    if now is None or changed is None or changed >= now or rows <= 0:
        return [f"{words}."]
    days = (wanted - rows) / rows * ((now - changed).total_seconds() / 86_400)
    if days > FARTHEST_LOOK_DAYS:
        return [f"{words}; at the present pace, that takes more than {FARTHEST_LOOK_DAYS // 365} years."]
    return [f"{words}; at the present pace, that is around {day_of(iso_time(now + timedelta(days=days)))}."]
