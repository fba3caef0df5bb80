"""Settings that would have let a retraining through that the policy held back, each verified by deciding again."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from evergreen.policy.decision import decide
from evergreen.policy.policy_file import Policy
from evergreen.policy.restraint import completed_age, retrainings_in_budget, standard_errors
from evergreen.policy.track_record import with_track_record
from evergreen.results.repair import ProposedSetting
from evergreen.settings.yaml_values import yaml_text

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.results.decision import Decision

MOST_CHANGES = 7
"""More changes than there are rules that hold a retraining back."""


def settings_that_retrain(made: Decision, evidence: Evidence, policy: Policy) -> tuple[list[ProposedSetting], bool]:
    """Return settings with which the same evidence would have led to a retraining.

    Args:
        made: The decision to keep a degraded champion.
        evidence: Its evidence.
        policy: Its policy.

    Returns:
        Two alternatives if one change is enough, or else all changes that are needed together; and whether they are needed together.
    """
    needed: list[ProposedSetting] = []
    decided, changed = made, policy
    while decided.decision == "keep" and len(needed) < MOST_CHANGES:
        change = _change(decided, evidence, changed)
        if change is None:
            break
        needed.append(change)
        changed = with_setting(changed, change)
        decided = decide(evidence, changed)
    if decided.decision == "keep":
        needed = []
    if len(needed) > 1:
        return needed, True
    others = [change for change in (_certain_drop(made, evidence, policy),) if change and decide(evidence, with_setting(policy, change)).decision == "retrain"]
    if decide(replace(evidence, mode="force"), policy).decision == "retrain":
        others.append(ProposedSetting("parameter", "policy_mode", evidence.mode, "force", "One run with it retrains, whatever holds the policy back."))
    return [*needed, *others][:2], False


def rows_chosen(policy: Policy) -> ProposedSetting | None:
    """Return the change after which a challenger need not learn from the whole training window; None if it need not already."""
    if policy.training_window != "fixed":
        return None
    return _policy_setting("training_window", "fixed", "since_change", "The rows to learn from are then chosen, among them those since the change.")


def restraints_lifted(policy: Policy) -> list[ProposedSetting]:
    """Return one change for each restraint of a policy that makes the next retraining wait."""
    changes = []
    if policy.back_off:
        changes.append(_policy_setting("back_off", current=True, proposed=False, effect="A rejected challenger then does not delay the next one."))
    if policy.cooldown_days is not None:
        changes.append(_policy_setting("cooldown_days", policy.cooldown_days, None, "The next challenger then need not wait for a cool-down."))
    if policy.budget is not None:
        changes.append(_policy_setting("budget.retrains", policy.budget.retrains, policy.budget.retrains + 1, "The budget then allows one more retraining."))
    return changes


def with_setting(policy: Policy, change: ProposedSetting) -> Policy:
    """Return a policy with one setting changed.

    Args:
        policy: The policy.
        change: The setting; its kind is ``policy``.
    """
    content: dict[str, Any] = policy.model_dump(mode="json")
    place = content
    *sections, name = change.name.split(".")
    for section in sections:
        place = place[section]
    place[name] = yaml.safe_load(change.proposed)
    return Policy.model_validate(content)


def _change(decided: Decision, evidence: Evidence, policy: Policy) -> ProposedSetting | None:
    """Return the change that lifts what held a retraining back; None if no setting does."""
    if "performance" not in policy.triggers and "performance" in decided.fired:
        return _policy_setting("triggers", [*policy.triggers], [*policy.triggers, "performance"], "Degraded performance then asks for a retraining.")
    if decided.rule == "hysteresis":
        return _policy_setting("hysteresis.needed", policy.hysteresis.needed, 1, "One degraded window is then enough to retrain.")
    if decided.rule == "back_off":
        return _policy_setting("back_off", current=True, proposed=False, effect="A rejected challenger then no longer delays the next one.")
    if decided.rule == "few_rows":
        rows = evidence.performance.rows_since_change
        effect = "A challenger is then trained at once, although so few rows since the change may teach it little."
        return _policy_setting("minimum_rows_since_change", policy.minimum_rows_since_change, rows, effect)
    if decided.rule.startswith("veto_"):
        veto = decided.rule.removeprefix("veto_")
        kept = [name for name in policy.vetoes if name != veto]
        return _policy_setting("vetoes", [*policy.vetoes], kept, f"The veto {veto} then no longer blocks a retraining.")
    return _rarer(decided, evidence, policy)


def _rarer(decided: Decision, evidence: Evidence, policy: Policy) -> ProposedSetting | None:
    """Return the change that lifts a cool-down or a budget."""
    if decided.rule == "cooldown":
        age = math.floor(completed_age(evidence) or 0.0)
        effect = "The last retraining is then long enough ago." if age else "There is then no cool-down."
        return _policy_setting("cooldown_days", policy.cooldown_days, age or None, effect)
    if decided.rule == "budget" and policy.budget is not None:
        spent = len(retrainings_in_budget(evidence, policy.budget.days))
        return _policy_setting("budget.retrains", policy.budget.retrains, spent + 1, "The budget then allows one more retraining.")
    return None


def _certain_drop(made: Decision, evidence: Evidence, policy: Policy) -> ProposedSetting | None:
    """Return a lower threshold for a drop that needs no second window; None if this drop does not wait for one, or is hardly a drop."""
    found = math.floor(10 * standard_errors(with_track_record(evidence))) / 10
    if made.rule != "hysteresis" or found < 1:
        return None
    effect = "A drop as certain as this one then needs no second window."
    return _policy_setting("hysteresis.certain_standard_errors", policy.hysteresis.certain_standard_errors, found, effect)


def _policy_setting(name: str, current: Any, proposed: Any, effect: str) -> ProposedSetting:
    return ProposedSetting("policy", name, yaml_text(current), yaml_text(proposed), effect)
