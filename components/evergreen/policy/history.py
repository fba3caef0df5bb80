"""What was decided before: hysteresis, cool-down and budget need it, and the ledger keeps it with the model."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from evergreen.policy.errors import PolicyError
from evergreen.registry.record import PROMOTION, REJECTION, WAITING

if TYPE_CHECKING:
    from evergreen.policy.triggers import Evidence
    from evergreen.registry.ledger import Ledger

DECISION_KINDS = ("kept", "retraining")
COMPLETES_A_RETRAINING = (PROMOTION, REJECTION, WAITING)
MOST_RECORDS = 1000


@dataclass(frozen=True)
class PastDecision:
    """An earlier decision about the same model.

    Attributes:
        window_end: End of the window it was about, ISO, UTC.
        decision: ``retrain`` or ``keep``.
        fired: Names of the triggers that fired.
        rows: Rows of the window.
        rule: What decided.
        completed: Whether the decision came to its end; False for a retraining that failed or was a dry run, so that no challenger was judged.
    """

    window_end: str
    decision: str
    fired: tuple[str, ...] = ()
    rows: int = 0
    rule: str = ""
    completed: bool = True

    @property
    def retrained(self) -> bool:
        """Whether a challenger was trained and judged."""
        return self.decision == "retrain" and self.completed


def read_history(ledger: Ledger | None, *, run_id: str) -> tuple[PastDecision, ...]:
    """Return the decisions that a model's ledger holds, of its newest 1,000 records.

    Args:
        ledger: The ledger; None when a component is used without one.
        run_id: The present run, whose own record does not count: a step that is tried again decides as it did before.

    Raises:
        LedgerError: A record cannot be read.
    """
    if ledger is None:
        return ()
    found: dict[str, PastDecision] = {}
    completed: set[str] = set()
    for record in itertools.islice(ledger.newest_first(), MOST_RECORDS):
        evidence = record.evidence
        if record.kind in COMPLETES_A_RETRAINING:
            completed.add(record.run_id)
        if record.kind in DECISION_KINDS and (run_id == "none" or record.run_id != run_id) and "window_end" in evidence:
            # The newest record of a window counts: a window that was decided again was decided otherwise for a reason.
            # A component that is used by itself has no run, and nothing says how its retraining ended.
            known = record.run_id == "none" or record.run_id in completed
            found.setdefault(str(evidence["window_end"]), _past(evidence, completed=known or evidence.get("decision") != "retrain"))
    return tuple(found.values())


def _past(evidence: dict[str, Any], *, completed: bool) -> PastDecision:
    return PastDecision(
        window_end=str(evidence["window_end"]),
        decision=str(evidence.get("decision", "keep")),
        fired=tuple(str(trigger.get("name")) for trigger in evidence.get("triggers", []) if trigger.get("verdict") == "fired"),
        rows=int(evidence.get("rows", 0)),
        rule=str(evidence.get("rule", "")),
        completed=completed,
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
    fit_end = evidence.baseline.get("fit_end")
    if not fit_end:
        return []
    start = moment(str(fit_end), "fit_end")
    return [past for past in before(evidence) if moment(past.window_end, "window_end") > start]


def windows_since_recovery(evidence: Evidence) -> int | None:
    """Return in which window after a promotion that answered degraded performance the present one is, 1 for the first; None when there was none."""
    fit_end = evidence.baseline.get("fit_end")
    earlier = before(evidence)
    answered = [number for number, past in enumerate(earlier) if past.retrained and past.rule == "performance"]
    if not fit_end or not answered:
        return None
    last = earlier[answered[-1]]
    # A champion that is older than that decision outlived the challenger.
    if moment(last.window_end, "window_end") > moment(str(fit_end), "fit_end"):
        return None
    return len(earlier) - answered[-1]


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
