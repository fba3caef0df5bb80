"""Earlier decisions, read from the model's ledger and needed for hysteresis, cool-down and budget."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from evergreen.data.times import parse_time
from evergreen.errors import PolicyError
from evergreen.policy.evidence import PastDecision
from evergreen.registry.record import KEPT, PROMOTION, REJECTION, RETRAINING, ROLLBACK, WAITING
from evergreen.results.decision import Decision

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.record import LedgerRecord

DECISION_KINDS = (KEPT, RETRAINING)
COMPLETES_A_RETRAINING = (PROMOTION, REJECTION, WAITING)
MOST_RECORDS = 1000


def read_history(ledger: Ledger | None, *, run_id: str) -> tuple[PastDecision, ...]:
    """Return the decisions among the newest 1,000 records of a model's ledger.

    Args:
        ledger: The ledger; None when a component is used without one.
        run_id: The current run. Its own records are ignored, so that a retried step reaches the same decision.

    Raises:
        LedgerError: A record cannot be read.
        PolicyError: A record of a decision holds something else.
    """
    if ledger is None:
        return ()
    found: dict[str, PastDecision] = {}
    completed: set[str] = set()
    records = list(itertools.islice(ledger.newest_first(), MOST_RECORDS))
    promoting = _promoting_runs(records)
    for record in records:
        if record.kind in COMPLETES_A_RETRAINING:
            completed.add(record.run_id)
        if record.kind in DECISION_KINDS and (run_id == "none" or record.run_id != run_id) and "window_end" in record.evidence:
            # The newest record of a window counts: if a window was decided again, there was a reason for it.
            # A component used on its own has no run, so nothing records how its retraining ended.
            known = record.run_id == "none" or record.run_id in completed
            decided = Decision.from_json(record.evidence, source=f"ledger record {record.number} of model {record.model_name!r}", error=PolicyError)
            ended = known or decided.decision != "retrain"
            promoted = record.kind == RETRAINING and record.run_id in promoting
            found.setdefault(decided.window_end, past_decision(decided, completed=ended, promoted=promoted))
    return tuple(found.values())


def _promoting_runs(records: list[LedgerRecord]) -> set[str]:
    """Return the runs whose challenger was promoted and not rolled back.

    Args:
        records: Records of the ledger, newest first.
    """
    runs: set[str] = set()
    challengers: set[str] = set()
    back_to = ""
    for record in records:
        if record.kind == ROLLBACK and not back_to:
            back_to = record.version_after
        elif record.kind == PROMOTION and back_to in ("", record.version_after):
            back_to = ""
            runs.add(record.run_id)
            challengers.add(record.challenger_id)
        elif record.kind == WAITING and record.challenger_id in challengers:
            # Another run promoted it after a person had approved it.
            runs.add(record.run_id)
    return runs - {"none"}


def past_decision(decided: Decision, *, completed: bool, promoted: bool) -> PastDecision:
    """Return a decision as later decisions see it.

    Args:
        decided: The decision.
        completed: Whether it was carried out.
        promoted: Whether its challenger became champion.
    """
    return PastDecision(
        window_end=decided.window_end,
        decision=decided.decision,
        fired=decided.fired,
        rows=decided.rows,
        rule=decided.rule,
        completed=completed,
        promoted=promoted,
        measured=decided.measured,
        changed_at=decided.changed_at,
    )


def before(evidence: Evidence) -> list[PastDecision]:
    """Return the decisions about earlier windows, oldest first; none if the end of the current window is unknown."""
    if evidence.window_end == "latest":
        return []
    now = moment(evidence.window_end, "window_end")
    known = [past for past in evidence.history if past.window_end != "latest" and moment(past.window_end, "window_end of an earlier decision") < now]
    return sorted(known, key=lambda past: moment(past.window_end, "window_end"))


def since_champion(evidence: Evidence) -> list[PastDecision]:
    """Return the decisions about earlier windows in which this champion was monitored, oldest first."""
    fit_end = evidence.fit_end
    if not fit_end:
        return []
    earlier = before(evidence)
    # Labels arrive late: a champion has not seen the last days of the window that led to its training, but it was not monitored in that window either.
    first = max((number for number, past in enumerate(earlier, start=1) if _led_to_champion(past, fit_end)), default=0)
    return [past for past in earlier[first:] if moment(past.window_end, "window_end") > moment(fit_end, "fit_end")]


def windows_since_recovery(evidence: Evidence) -> int | None:
    """Return the number of the current window, counted from 1, after a promotion in response to a change; None if there was none."""
    earlier = before(evidence)
    number = _last_recovery(evidence, earlier)
    return None if number is None else len(earlier) - number


def last_change(evidence: Evidence) -> str | None:
    """Return when performance last changed before the last promotion in response to it, or None.

    That is the time since which the champion's errors differed, or, where it is unknown, the start of the first degraded window. The start of a window
    is the end of the previous one; for the first known window, only its end is known.
    """
    earlier = before(evidence)
    number = _last_recovery(evidence, earlier)
    if number is None:
        return None
    if earlier[number].changed_at:
        return earlier[number].changed_at
    while number > 0 and "performance" in earlier[number].fired:
        number -= 1
    return earlier[number].window_end


def share_of_growth(evidence: Evidence) -> float | None:
    """Return how many times as long as at the last retraining the time since the change is now; None if the time of the change is unknown."""
    earlier = before(evidence)
    number = _last_recovery(evidence, earlier)
    if number is None or not earlier[number].changed_at:
        return None
    changed_at = earlier[number].changed_at
    moment(changed_at, "changed_at of an earlier decision")
    last = max((past.window_end for past in earlier[number:] if past.retrained), key=lambda end: moment(end, "window_end"))
    then = days_between(changed_at, last)
    return days_between(changed_at, evidence.window_end) / then if then > 0 else None


def _last_recovery(evidence: Evidence, earlier: list[PastDecision]) -> int | None:
    """Return the position of the newest decision that led to a promotion in response to a change of the champion's performance."""
    fit_end = evidence.fit_end
    if not fit_end:
        return None
    return max((number for number, past in enumerate(earlier) if _answers_change(past) and _led_to_champion(past, fit_end)), default=None)


def _answers_change(past: PastDecision) -> bool:
    # The probe also finds models that are better because there are more rows; that is no change.
    return past.rule == "performance" or (past.rule == "probe" and bool(past.changed_at))


def _led_to_champion(past: PastDecision, fit_end: str) -> bool:
    """Return whether the champion is the challenger of an earlier decision, or a later one.

    Without a run, the fate of a challenger is not recorded; in that case, a champion fitted up to the end of that window is taken to be the challenger.
    """
    return past.promoted or (past.retrained and moment(past.window_end, "window_end") == moment(fit_end, "fit_end"))


def days_between(start: str, end: str) -> float:
    """Return the days from one ISO time to another.

    Raises:
        PolicyError: One of them is not a valid time.
    """
    return (moment(end, "window_end") - moment(start, "fit_end")).total_seconds() / 86_400


def days_text(days: float) -> str:
    """Format a number of days for display; 10 or more are rounded to whole days."""
    return f"{days:,.0f}" if days >= 10 else f"{days:.3g}"


def moment(text: str, name: str) -> datetime:
    """Parse an ISO time; without a time zone it is taken as UTC.

    Args:
        text: The text.
        name: Name of the value, for the error message.

    Raises:
        PolicyError: The text is not a valid time.
    """
    try:
        found = parse_time(text)
    except ValueError as error:
        raise PolicyError(f"Invalid {name} {text!r}: expected an ISO time such as 1981-01-01T00:00:00Z. Pass the value returned by ingest_data.") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
