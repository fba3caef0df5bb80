"""What was decided before: hysteresis, cool-down and budget need it, and the ledger keeps it with the model."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import TYPE_CHECKING

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
    """Return the decisions that a model's ledger holds, of its newest 1,000 records.

    Args:
        ledger: The ledger; None when a component is used without one.
        run_id: The present run, whose own record does not count: a step that is tried again decides as it did before.

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
            # The newest record of a window counts: a window that was decided again was decided otherwise for a reason.
            # A component that is used by itself has no run, and nothing says how its retraining ended.
            known = record.run_id == "none" or record.run_id in completed
            decided = Decision.from_json(record.evidence, source=f"ledger record {record.number} of model {record.model_name!r}", error=PolicyError)
            ended = known or decided.decision != "retrain"
            promoted = record.kind == RETRAINING and record.run_id in promoting
            found.setdefault(decided.window_end, _past(decided, completed=ended, promoted=promoted))
    return tuple(found.values())


def _promoting_runs(records: list[LedgerRecord]) -> set[str]:
    """Return the runs whose challenger became champion and was not rolled back.

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
            # Another run promoted it, once a person had approved.
            runs.add(record.run_id)
    return runs - {"none"}


def _past(decided: Decision, *, completed: bool, promoted: bool) -> PastDecision:
    return PastDecision(
        window_end=decided.window_end,
        decision=decided.decision,
        fired=decided.fired,
        rows=decided.rows,
        rule=decided.rule,
        completed=completed,
        promoted=promoted,
        measured=decided.measured,
    )


def before(evidence: Evidence) -> list[PastDecision]:
    """Return the decisions about earlier windows, oldest first. Where the present window's end is not known, nothing is earlier."""
    if evidence.window_end == "latest":
        return []
    now = moment(evidence.window_end, "window_end")
    known = [past for past in evidence.history if past.window_end != "latest" and moment(past.window_end, "window_end of an earlier decision") < now]
    return sorted(known, key=lambda past: moment(past.window_end, "window_end"))


def since_champion(evidence: Evidence) -> list[PastDecision]:
    """Return the decisions about earlier windows that this champion was watched in, oldest first."""
    fit_end = evidence.fit_end
    if not fit_end:
        return []
    earlier = before(evidence)
    # Labels come late: a champion has seen nothing of the last days of the window that it was trained after, and was not watched in it.
    first = max((number for number, past in enumerate(earlier, start=1) if _led_to_champion(past, fit_end)), default=0)
    return [past for past in earlier[first:] if moment(past.window_end, "window_end") > moment(fit_end, "fit_end")]


def windows_since_recovery(evidence: Evidence) -> int | None:
    """Return in which window after a promotion that answered degraded performance the present one is, 1 for the first; None when there was none."""
    earlier = before(evidence)
    number = _last_recovery(evidence, earlier)
    return None if number is None else len(earlier) - number


def last_change(evidence: Evidence) -> str | None:
    """Return when performance last changed: the start of the first window of those that a promotion answered; None when there was none.

    The start of a window is the end of the one before it; of the first window that is known only its end is.
    """
    earlier = before(evidence)
    number = _last_recovery(evidence, earlier)
    if number is None:
        return None
    while number > 0 and "performance" in earlier[number].fired:
        number -= 1
    return earlier[number].window_end


def _last_recovery(evidence: Evidence, earlier: list[PastDecision]) -> int | None:
    """Return the position of the newest decision that answered degraded performance with a promotion."""
    fit_end = evidence.fit_end
    if not fit_end:
        return None
    return max((number for number, past in enumerate(earlier) if past.rule == "performance" and _led_to_champion(past, fit_end)), default=None)


def _led_to_champion(past: PastDecision, fit_end: str) -> bool:
    """Return whether the champion is the challenger of an earlier decision, or a later one.

    Without a run nobody recorded what became of a challenger: then a champion that was fitted up to that window's end is it.
    """
    return past.promoted or (past.retrained and moment(past.window_end, "window_end") == moment(fit_end, "fit_end"))


def days_between(start: str, end: str) -> float:
    """Return the days from one ISO time to another.

    Raises:
        PolicyError: One is no time.
    """
    return (moment(end, "window_end") - moment(start, "fit_end")).total_seconds() / 86_400


def days_text(days: float) -> str:
    """Return a number of days for people: whole from ten on."""
    return f"{days:,.0f}" if days >= 10 else f"{days:.3g}"


def moment(text: str, name: str) -> datetime:
    """Return the time that an ISO text stands for; without a zone it is UTC.

    Args:
        text: The text.
        name: What it is, for the message.

    Raises:
        PolicyError: It is no time.
    """
    try:
        # Python 3.10 does not read the "Z".
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise PolicyError(f"{name} {text!r} is no time: expected ISO text such as 1981-01-01T00:00:00Z. Pass what ingest_data returned.") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
