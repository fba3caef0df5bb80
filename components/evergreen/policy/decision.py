"""One decision out of all triggers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.policy import triggers
from evergreen.policy.errors import PolicyError

if TYPE_CHECKING:
    from evergreen.policy.policy_file import Policy
    from evergreen.policy.triggers import Evidence, Trigger


@dataclass(frozen=True)
class Decision:
    """Whether to retrain, and why.

    Attributes:
        decision: ``retrain`` or ``keep``.
        reasons: Full sentences, the decisive one first.
        alert: Whether a person should look, although (or while) nothing is retrained.
        rule: Name of what decided: a trigger's, ``alert_only`` or ``all_quiet``.
        triggers: What each trigger said.
        mode: The mode it was decided in.
        policy: The policy it was decided by.
    """

    decision: str
    reasons: list[str]
    alert: bool
    rule: str
    triggers: list[Trigger] = field(default_factory=list)
    mode: str = "auto"
    policy: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON values."""
        return asdict(self)


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Decide whether to retrain.

    In this order: no champion, an explicit request, degraded performance, a champion that is too old, and severe drift
    while performance cannot be told. Drift while labels show that performance holds does not retrain: it alerts. What
    cannot be told is said among the reasons.

    Args:
        evidence: What is known.
        policy: Which triggers count, and from where on.

    Raises:
        PolicyError: The mode or a verdict is unknown, or a time cannot be read.
    """
    if evidence.mode not in triggers.MODES:
        raise PolicyError(f"policy_mode {evidence.mode!r}: expected one of {', '.join(triggers.MODES)}. Correct the parameter.")
    said = {
        trigger.name: trigger
        for trigger in (
            triggers.no_champion(evidence),
            triggers.explicit_request(evidence),
            triggers.performance(evidence),
            triggers.input_drift(evidence, retrain_on=policy.retrain_on_drift_severity),
            triggers.model_age(evidence, maximum_days=policy.maximum_model_age_days),
        )
    }
    rule = _deciding_trigger(said, policy)
    drifts = str(evidence.drift.get("verdict")) == "drift"
    degraded = said["performance"].verdict == "fired"
    reasons = _reasons(said, rule=rule, drifts=drifts, policy=policy)
    alert = drifts or degraded
    name = rule or ("alert_only" if alert else "all_quiet")
    return Decision("retrain" if rule else "keep", reasons, alert, name, list(said.values()), evidence.mode, policy.model_dump(mode="json"))


def _deciding_trigger(said: dict[str, Trigger], policy: Policy) -> str:
    for name in ("no_champion", "explicit_request", "performance", "model_age"):
        if name in policy.triggers and said[name].verdict == "fired":
            return name
    drift_counts = "input_drift" in policy.triggers and said["input_drift"].verdict == "fired"
    return "input_drift" if drift_counts and said["performance"].verdict == "cannot tell" else ""


def _reasons(said: dict[str, Trigger], *, rule: str, drifts: bool, policy: Policy) -> list[str]:
    if rule == "no_champion":
        return [said[rule].sentence]
    reasons = [said[rule].sentence] if rule else []
    # Evidence that did not decide is still said: what fired, what cannot be told, and what kept the champion.
    reasons += [said[name].sentence for name in ("performance", "input_drift") if name != rule and (not rule or said[name].verdict != "quiet")]
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
        return "Fresh labels show that performance holds, so the drift alerts and does not retrain."
    if said["input_drift"].verdict == "quiet":
        return f"Without a measure of performance only {policy.retrain_on_drift_severity} drift retrains, so the drift alerts."
    return "The policy keeps the champion, so the drift alerts."
