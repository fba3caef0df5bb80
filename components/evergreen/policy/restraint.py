"""Restraints that hold back a retraining although a trigger calls for it: too few rows since a change, hysteresis, back-off, vetoes, cool-down, budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.policy.history import before, days_between, days_text, since_champion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.policy.evidence import Evidence, PastDecision
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Trigger

SURE_AT_ONCE = ("probe",)
"""Triggers whose evidence is corrected for chance by itself, so that a second window adds nothing."""
ANSWER_TO_CHANGE = ("performance", "probe", "feedback")
NEVER_HELD_BACK = ("no_champion", "explicit_request")
WITHOUT_HYSTERESIS = ("external_event", "follow_up", "model_age", "new_data")


def held_back(name: str, evidence: Evidence, policy: Policy, said: Mapping[str, Trigger]) -> tuple[str, str]:
    """Return the restraint that holds back a trigger's retraining and a sentence about it; two empty strings if nothing does.

    A first model and an explicit request are never held back.

    Args:
        name: The trigger that fired.
        evidence: The evidence.
        policy: The policy.
        said: The result of every trigger, by name.
    """
    if name in NEVER_HELD_BACK:
        return "", ""
    if name in ANSWER_TO_CHANGE and (words := _too_few_rows(evidence, policy)):
        return "few_rows", words
    if name not in WITHOUT_HYSTERESIS:
        if name not in SURE_AT_ONCE and not _certain(said[name], evidence, policy) and (words := _unconfirmed(name, evidence, policy)):
            return "hysteresis", words
        if policy.back_off and (words := _just_rejected(evidence)):
            return "back_off", words
    for veto, words in _vetoes(evidence, said).items():
        if veto in policy.vetoes and words:
            return f"veto_{veto}", words
    return _too_often(evidence, policy)


def _too_few_rows(evidence: Evidence, policy: Policy) -> str:
    rows, changed_at = evidence.performance.rows_since_change, evidence.performance.changed_at
    if not changed_at or rows >= policy.minimum_rows_since_change:
        return ""
    return (
        f"The policy waits: only {rows} labelled rows have come since the champion's errors changed on {changed_at[:10]}; "
        f"a challenger is trained when there are about {policy.minimum_rows_since_change}."
    )


def _certain(trigger: Trigger, evidence: Evidence, policy: Policy) -> bool:
    """Return whether a trigger's evidence is strong enough to need no second window."""
    if trigger.name == "performance":
        return standard_errors(evidence) >= policy.hysteresis.certain_standard_errors
    return trigger.value == "severe"


def _unconfirmed(name: str, evidence: Evidence, policy: Policy) -> str:
    rule = policy.hysteresis
    last = since_champion(evidence)[-(rule.windows - 1) :] if rule.windows > 1 else []
    fired = 1 + sum(name in past.fired for past in last)
    if fired >= rule.needed:
        return ""
    what = name.replace("_", " ")
    windows = f"{fired} of the last {len(last) + 1} windows"
    return f"The policy waits: {what} fired in {windows} of this champion, and {rule.needed} of {rule.windows} are required."


def standard_errors(evidence: Evidence) -> float:
    """Return the performance drop in standard errors; 0 if unknown."""
    drop, lower, upper = evidence.performance.drop, evidence.performance.drop_lower, evidence.performance.drop_upper
    if drop is None or lower is None or upper is None or upper <= lower:
        return 0.0
    return drop / ((upper - lower) / (2 * NORMAL_QUANTILE))


def _just_rejected(evidence: Evidence) -> str:
    # The champion is still the same, so no challenger trained since then has passed.
    watched = since_champion(evidence)
    tried = [number for number, past in enumerate(watched) if past.retrained and past.rule not in (*NEVER_HELD_BACK, *WITHOUT_HYSTERESIS)]
    if not tried:
        return ""
    waited, wait = len(watched) - tried[-1], 2 ** max(0, len(tried) - 2)
    if waited >= wait:
        return ""
    return (
        f"The policy waits: {len(tried)} challengers were no better than this champion, so the next one is trained {wait} windows after the last; "
        f"this is window {waited}."
    )


def _vetoes(evidence: Evidence, said: Mapping[str, Trigger]) -> dict[str, str]:
    untold = all(said[name].verdict == "cannot tell" for name in ("performance", "input_drift"))
    return {
        "insufficient_data": "The policy does not retrain while neither performance nor drift is known." if untold else "",
        "contract_warnings": "The policy does not retrain on data that passed with warnings." if evidence.validation == "passed with warnings" else "",
        "rollout_under_way": "The policy does not retrain while a rollout or approval is in progress." if evidence.rollout_under_way else "",
    }


def _too_often(evidence: Evidence, policy: Policy) -> tuple[str, str]:
    last = completed_age(evidence)
    if policy.cooldown_days is not None and last is not None and last < policy.cooldown_days:
        return "cooldown", f"The policy waits: the last retraining was {days_text(last)} days ago, within the cool-down of {policy.cooldown_days:g} days."
    if policy.budget is not None:
        spent = len(retrainings_in_budget(evidence, policy.budget.days))
        if spent >= policy.budget.retrains:
            return "budget", f"The budget is spent: {spent} retrainings in the last {policy.budget.days:g} days, with {policy.budget.retrains} allowed."
    return "", ""


def last_completed(evidence: Evidence) -> PastDecision | None:
    """Return the newest earlier retraining that produced a model, or None: after one that failed, there is no cool-down."""
    return next((past for past in reversed(before(evidence)) if past.retrained), None)


def completed_age(evidence: Evidence) -> float | None:
    """Return the days since the newest earlier retraining that produced a model, or None if there was none."""
    last = last_completed(evidence)
    return None if last is None else _age(last, evidence)


def retrainings_in_budget(evidence: Evidence, days: float) -> list[PastDecision]:
    """Return the retrainings that count against a budget, oldest first. One that failed counts, too: it had its cost.

    Args:
        evidence: The evidence.
        days: Length of the budget's period in days.
    """
    return [past for past in before(evidence) if past.decision == "retrain" and _age(past, evidence) < days]


def _age(past: PastDecision, evidence: Evidence) -> float:
    return days_between(past.window_end, evidence.window_end)
