"""Combines all triggers into one decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import PolicyError
from evergreen.policy import triggers
from evergreen.policy.diagnosis import what_moved
from evergreen.policy.feedback import feedback
from evergreen.policy.history import last_change
from evergreen.policy.restraint import held_back
from evergreen.policy.track_record import at_promotion, measured, with_track_record
from evergreen.policy.training_window import training_since
from evergreen.results.decision import Decision

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Trigger


# In order of precedence. DECIDING_WITHOUT_LABELS applies only while performance is unknown.
DECIDING = ("no_champion", "explicit_request", "external_event", "performance", "probe", "follow_up", "feedback", "model_age", "new_data")
DECIDING_WITHOUT_LABELS = ("input_drift", "prediction_drift")
AGAINST_CHAMPION = ("performance", "probe", "follow_up", "model_age")
"""Triggers that are evidence against the champion itself, before any challenger is trained."""
RELATION_CHANGED = ("performance", "probe", "feedback")
"""Triggers which say that what older rows teach may hold no longer."""


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Decide whether to retrain. The same evidence always gives the same decision.

    Performance is compared with the champion's track record: its score at promotion and in later windows in which it did not degrade.
    Order of precedence: no champion, an explicit request, an external event, degraded performance, a better new model (probe), a follow-up, user
    complaints, a champion that is too old, enough new rows, and, while performance is unknown, severe drift of the inputs or the predictions. Drift does
    not retrain while labels show that performance holds: it raises an alert. Except for the first two, a trigger that fired may be held back by
    too few rows since a change, hysteresis, back-off, a veto, a cool-down or a budget. The reasons also state what is unknown.

    Args:
        evidence: The evidence.
        policy: Enabled triggers and their thresholds.

    Raises:
        PolicyError: The mode or a verdict is unknown, or a time cannot be read.
    """
    if evidence.mode not in triggers.MODES:
        raise PolicyError(f"Unknown policy_mode {evidence.mode!r}. Valid modes: {', '.join(triggers.MODES)}. Correct the parameter.")
    scored = measured(evidence.performance)
    evidence = with_track_record(evidence)
    said = {trigger.name: trigger for trigger in _all_triggers(evidence, policy)}
    rule, against = "", ("", "")
    for name in _asking(said, evidence, policy):
        held = held_back(name, evidence, policy, said)
        if not held[0]:
            rule = name
            break
        against = against if against[0] else held
    drifts = evidence.drift.verdict == "drift"
    alert = drifts or any(said[name].verdict == "fired" for name in ("performance", "feedback")) or (not rule and bool(against[0]))
    reasons = _reasons(said, rule=rule, drifts=drifts, policy=policy)
    if not rule and against[0]:
        reasons.append(against[1])
    name = rule or against[0] or ("alert_only" if alert else "all_quiet")
    rows = evidence.drift.current_rows or 0
    return Decision(
        "retrain" if rule else "keep",
        reasons,
        alert,
        name,
        list(said.values()),
        evidence.mode,
        policy.model_dump(mode="json"),
        evidence.window_end,
        rows,
        what_moved(evidence.drift, evidence.performance),
        scored,
        training_since(evidence, policy) if rule else "",
        rule in AGAINST_CHAMPION or (bool(rule) and said["performance"].verdict == "fired"),
        choose_rows=bool(rule) and policy.training_window != "fixed" and _relation_may_have_changed(said, rule, evidence),
        # A follow-up answers the change that the promotion before it answered; any other decision knows of a change of its own, or of none.
        changed_at=evidence.performance.changed_at or ((last_change(evidence) or "") if rule == "follow_up" else ""),
        at_promotion=at_promotion(evidence.performance),
        expected=evidence.performance.expected,
        explained=evidence.performance.explained,
    )


def _relation_may_have_changed(said: dict[str, Trigger], rule: str, evidence: Evidence) -> bool:
    explained = evidence.performance.explained
    drifted = explained is not None and explained.verdict in ("relation", "both")
    return rule in ("follow_up", "external_event") or drifted or any(said[name].verdict == "fired" for name in RELATION_CHANGED)


def _all_triggers(evidence: Evidence, policy: Policy) -> tuple[Trigger, ...]:
    return (
        triggers.no_champion(evidence),
        triggers.explicit_request(evidence),
        triggers.external_event(evidence),
        triggers.performance(evidence, on_estimate=policy.retrain_on_estimate),
        triggers.probe(evidence),
        triggers.follow_up(evidence, windows=policy.follow_up_windows),
        triggers.input_drift(evidence, retrain_on=policy.retrain_on_drift_severity),
        triggers.prediction_drift(evidence, retrain_on=policy.retrain_on_drift_severity),
        feedback(evidence, policy.feedback),
        triggers.new_data(evidence, minimum_rows=policy.minimum_new_rows),
        triggers.model_age(evidence, maximum_days=policy.maximum_model_age_days, maximum_spans=policy.maximum_model_age_spans),
    )


def _asking(said: dict[str, Trigger], evidence: Evidence, policy: Policy) -> list[str]:
    """Return the triggers that call for a retraining, in order of precedence."""
    # Use the measurement, not the trigger: an estimate that fires and is held back must not hide severe drift.
    untold = not evidence.performance.measured
    counting = DECIDING + (DECIDING_WITHOUT_LABELS if untold else ())
    return [name for name in counting if name in policy.triggers and said[name].verdict == "fired"]


def _reasons(said: dict[str, Trigger], *, rule: str, drifts: bool, policy: Policy) -> list[str]:
    if rule == "no_champion":
        return [said[rule].sentence]
    reasons = [said[rule].sentence] if rule else []
    # Report evidence that did not decide, too: what fired, what is unknown, and what kept the champion.
    reasons += [said[name].sentence for name in ("performance", "input_drift") if name != rule and (not rule or said[name].verdict != "quiet")]
    if rule != "probe" and said["probe"].verdict == "fired":
        reasons.insert(1, said["probe"].sentence)
    if rule != "feedback" and said["feedback"].verdict != "quiet":
        reasons.append(said["feedback"].sentence)
    if not rule and drifts:
        reasons.append(_why_drift_alerts_only(said, policy))
    age = said["model_age"]
    if rule != "model_age" and age.verdict != "quiet":
        reasons.append(age.sentence)
    ignored = [name for name, trigger in said.items() if trigger.verdict == "fired" and name not in policy.triggers]
    if ignored and not rule:
        reasons.append(f"The policy does not retrain for: {', '.join(ignored)}.")
    return reasons


def _why_drift_alerts_only(said: dict[str, Trigger], policy: Policy) -> str:
    if said["performance"].verdict == "quiet":
        return "Fresh labels show that performance holds, so the drift raises an alert but does not retrain."
    if said["input_drift"].verdict == "quiet":
        return f"While performance is not measured, only {policy.retrain_on_drift_severity} drift retrains, so the drift raises an alert."
    return "The policy keeps the champion, so the drift raises an alert."
