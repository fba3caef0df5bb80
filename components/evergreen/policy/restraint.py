"""What holds a retraining back although a trigger asks for it: hysteresis, vetoes, cool-down, budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.policy.history import before, days_between, days_text, since_champion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.policy.evidence import Evidence, PastDecision
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Trigger

NEVER_HELD_BACK = ("no_champion", "explicit_request")
WITHOUT_HYSTERESIS = ("external_event", "follow_up", "model_age", "new_data")


def held_back(name: str, evidence: Evidence, policy: Policy, said: Mapping[str, Trigger]) -> tuple[str, str]:
    """Return what holds back the retraining that a trigger asks for, and a sentence; two empty texts when nothing does.

    A first model and a person's request are never held back.

    Args:
        name: The trigger that fired.
        evidence: What is known.
        policy: The policy.
        said: What every trigger said.
    """
    if name in NEVER_HELD_BACK:
        return "", ""
    if name not in WITHOUT_HYSTERESIS:
        if not _certain(said[name], evidence, policy) and (words := _unconfirmed(name, evidence, policy)):
            return "hysteresis", words
        if policy.back_off and (words := _just_rejected(evidence)):
            return "back_off", words
    for veto, words in _vetoes(evidence, said).items():
        if veto in policy.vetoes and words:
            return f"veto_{veto}", words
    return _too_often(evidence, policy)


def _certain(trigger: Trigger, evidence: Evidence, policy: Policy) -> bool:
    """Return whether what a trigger saw is beyond doubt, so that it needs no second window."""
    if trigger.name == "performance":
        return _standard_errors(evidence) >= policy.hysteresis.certain_standard_errors
    return trigger.value == "severe"


def _unconfirmed(name: str, evidence: Evidence, policy: Policy) -> str:
    rule = policy.hysteresis
    last = since_champion(evidence)[-(rule.windows - 1) :] if rule.windows > 1 else []
    fired = 1 + sum(name in past.fired for past in last)
    if fired >= rule.needed:
        return ""
    what = name.replace("_", " ")
    return f"The policy waits: {what} fired in {fired} of the last {len(last) + 1} windows of this champion, and {rule.needed} of {rule.windows} are needed."


def _standard_errors(evidence: Evidence) -> float:
    """Return how many of its standard errors the drop in performance is; 0 when that is not known."""
    drop, lower, upper = evidence.performance.drop, evidence.performance.drop_lower, evidence.performance.drop_upper
    if drop is None or lower is None or upper is None or upper <= lower:
        return 0.0
    return drop / ((upper - lower) / (2 * NORMAL_QUANTILE))


def _just_rejected(evidence: Evidence) -> str:
    # Same champion, so whatever was trained since then did not pass.
    watched = since_champion(evidence)
    tried = [number for number, past in enumerate(watched) if past.retrained and past.rule not in (*NEVER_HELD_BACK, *WITHOUT_HYSTERESIS)]
    if not tried:
        return ""
    waited, wait = len(watched) - tried[-1], 2 ** max(0, len(tried) - 2)
    if waited >= wait:
        return ""
    return (
        f"The policy waits: {len(tried)} challengers were not better than this champion, so the next is trained {wait} windows after the last one; "
        f"this is window {waited}."
    )


def _vetoes(evidence: Evidence, said: Mapping[str, Trigger]) -> dict[str, str]:
    untold = all(said[name].verdict == "cannot tell" for name in ("performance", "input_drift"))
    return {
        "insufficient_data": "The policy forbids it while neither performance nor drift can be told." if untold else "",
        "contract_warnings": "The policy forbids it on data that passed its contract with warnings." if evidence.validation == "passed with warnings" else "",
        "rollout_under_way": "The policy forbids it while a rollout or an approval is under way." if evidence.rollout_under_way else "",
    }


def _too_often(evidence: Evidence, policy: Policy) -> tuple[str, str]:
    # A retraining that failed learned nothing, so nothing has to cool down; what it cost is spent all the same.
    started = [past for past in before(evidence) if past.decision == "retrain"]
    last = min((_age(past, evidence) for past in started if past.completed), default=None)
    if policy.cooldown_days is not None and last is not None and last < policy.cooldown_days:
        return "cooldown", f"The policy waits: the last retraining was {days_text(last)} days ago, within the cool-down of {policy.cooldown_days:g} days."
    if policy.budget is not None:
        spent = sum(_age(past, evidence) < policy.budget.days for past in started)
        if spent >= policy.budget.retrains:
            return "budget", f"The budget is spent: {spent} retrainings in the last {policy.budget.days:g} days, and {policy.budget.retrains} are allowed."
    return "", ""


def _age(past: PastDecision, evidence: Evidence) -> float:
    return days_between(past.window_end, evidence.window_end)
