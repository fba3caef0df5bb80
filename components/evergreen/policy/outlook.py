"""The outlook for a degraded champion: since when, what would have let a retraining through, and when the policy retrains next."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from evergreen.data.times import iso_time
from evergreen.policy.decision import decide
from evergreen.policy.history import before, moment, past_decision, since_champion
from evergreen.policy.remedies import restraints_lifted, rows_chosen, settings_that_retrain, with_setting
from evergreen.policy.restraint import last_completed, retrainings_in_budget
from evergreen.results.repair import Outlook

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence, PastDecision
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Decision
    from evergreen.results.performance import PerformanceResult
    from evergreen.results.repair import ProposedSetting

FORESEEN_WINDOWS = 40
LATEST_DISTANCES = 5
"""Number of distances between windows from which the next is expected: their median ignores a run that was skipped or started by hand."""


def with_outlook(made: Decision, evidence: Evidence, policy: Policy) -> Decision:
    """Return the decision with the outlook for the champion if its performance is degraded, otherwise unchanged.

    Args:
        made: The decision.
        evidence: Its evidence.
        policy: Its policy.
    """
    degraded = "performance" in made.fired or ("probe" in made.fired and evidence.performance.verdict == "degraded")
    return replace(made, outlook=_outlook(made, evidence, policy)) if degraded else made


def _outlook(made: Decision, evidence: Evidence, policy: Policy) -> Outlook:
    run = _degraded_in_a_row(evidence)
    distance = _distance(evidence)
    wait = _windows_to_wait(made, evidence, policy, distance)
    if made.decision == "keep":
        settings, all_needed = settings_that_retrain(made, evidence, policy)
    else:
        settings, all_needed = [*_choice(made, evidence, policy), *_sooner(made, evidence, policy, wait=wait, distance=distance)], False
    return Outlook(
        first_window_end=run[0].window_end if run else evidence.window_end,
        windows=len(run) + 1,
        next_window_end=_later(evidence, distance, 1),
        windows_to_wait=wait,
        retrains_at=_later(evidence, distance, wait) if wait else "",
        waits_until=_waits_until(made, evidence, policy),
        settings=settings,
        all_needed=all_needed,
    )


def _degraded_in_a_row(evidence: Evidence) -> list[PastDecision]:
    """Return the decisions of earlier windows without a recovery since, in which this champion was found degraded, oldest first."""
    run: list[PastDecision] = []
    for past in reversed(since_champion(evidence)):
        if "performance" in past.fired:
            run.insert(0, past)
        elif past.measured is not None:
            break
        # A window without labels shows neither a fall nor a recovery.
    return run


def _distance(evidence: Evidence) -> timedelta | None:
    """Return the usual distance between the ends of windows; None if there is no earlier window."""
    if evidence.window_end == "latest":
        return None
    ends = [moment(past.window_end, "window_end") for past in before(evidence)] + [moment(evidence.window_end, "window_end")]
    newest = ends[-LATEST_DISTANCES - 1 :]
    between = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(newest)]
    return timedelta(seconds=statistics.median(between)) if between else None


def _later(evidence: Evidence, distance: timedelta | None, windows: int) -> str:
    return "" if distance is None else iso_time(moment(evidence.window_end, "window_end") + windows * distance)


def _windows_to_wait(made: Decision, evidence: Evidence, policy: Policy, distance: timedelta | None) -> int | None:
    """Return the number of windows until the policy retrains, if the evidence stays the same and nothing is promoted until then."""
    # Rows since a change take time to come, too.
    dated = policy.cooldown_days is not None or policy.budget is not None or made.rule == "few_rows"
    if evidence.window_end == "latest" or (distance is None and dated):
        return None
    # Rules that count windows do not depend on the distance between them.
    step = distance or timedelta(days=1)
    mode = "auto" if evidence.mode == "force" else evidence.mode
    history = [*evidence.history, past_decision(made, completed=evidence.mode != "dry-run", promoted=False)]
    for number in range(1, FORESEEN_WINDOWS + 1):
        end = iso_time(moment(evidence.window_end, "window_end") + number * step)
        performance = _with_more_rows(evidence, number * step)
        decided = decide(replace(evidence, mode=mode, event=policy.event, window_end=end, history=tuple(history), performance=performance), policy)
        if decided.decision == "retrain":
            return number
        history.append(past_decision(decided, completed=True, promoted=False))
    return None


def _with_more_rows(evidence: Evidence, time: timedelta) -> PerformanceResult:
    """Return the performance with as many rows since the change as there will be after some time, at the pace at which they have come so far."""
    found = evidence.performance
    if not found.changed_at or not found.rows_since_change:
        return found
    so_far = moment(evidence.window_end, "window_end") - moment(found.changed_at, "changed_at")
    if so_far <= timedelta(0):
        return found
    return replace(found, rows_since_change=int(found.rows_since_change * (1 + time / so_far)))


def _choice(made: Decision, evidence: Evidence, policy: Policy) -> list[ProposedSetting]:
    """Return the setting with which the rows to learn from would have been chosen among several windows; none if they were."""
    change = rows_chosen(policy)
    return [change] if change and not made.choose_rows and decide(evidence, with_setting(policy, change)).choose_rows else []


def _sooner(made: Decision, evidence: Evidence, policy: Policy, *, wait: int | None, distance: timedelta | None) -> list[ProposedSetting]:
    """Return settings with which the policy would retrain sooner if this retraining repairs nothing."""
    if wait == 1:
        return []
    found = []
    for change in restraints_lifted(policy):
        then = _windows_to_wait(made, evidence, with_setting(policy, change), distance)
        if then is not None and (wait is None or then < wait):
            found.append(change)
    return found


def _waits_until(made: Decision, evidence: Evidence, policy: Policy) -> str:
    last = last_completed(evidence)
    if made.rule == "cooldown" and policy.cooldown_days is not None and last is not None:
        return iso_time(moment(last.window_end, "window_end") + timedelta(days=policy.cooldown_days))
    if made.rule == "budget" and policy.budget is not None:
        spent = retrainings_in_budget(evidence, policy.budget.days)
        # Counted from the oldest: as soon as this one leaves the period, another is allowed.
        frees = spent[len(spent) - policy.budget.retrains]
        return iso_time(moment(frees.window_end, "window_end") + timedelta(days=policy.budget.days))
    return ""
