"""The decision report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.performance.probe_report import change_sentence, probe_section
from evergreen.performance.report import explanation_section
from evergreen.reporting.page import Section, Table, Tone, format_number, render_page

if TYPE_CHECKING:
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Decision
    from evergreen.results.performance import Probe


def decision_page(decision: Decision, policy: Policy, *, probe: Probe | None = None) -> str:
    """Render the decision, its reasons and all triggers as HTML.

    Args:
        decision: The decision.
        policy: The policy the decision was made with.
        probe: Whether a new model would be better; None if it was not probed.
    """
    verdict = "Retrain." if decision.decision == "retrain" else "Keep the champion, but review it." if decision.alert else "Keep the champion."
    tone: Tone = "warning" if decision.alert else "neutral" if decision.decision == "retrain" else "good"
    rows = [
        (trigger.name.replace("_", " "), trigger.verdict, _text(trigger.value), _text(trigger.threshold), trigger.sentence) for trigger in decision.triggers
    ]
    sections = [
        Section("Why", [decision.change] if decision.change else [], bullets=[*decision.reasons, *_consequences(decision, policy)]),
        *_scores(decision),
        *([probe_section(probe)] if probe else []),
        *([explanation_section(decision.explained)] if decision.explained else []),
        Section("Triggers", table=Table(["trigger", "verdict", "value", "threshold", "explanation"], rows)),
        Section(
            "Policy",
            [
                f"Mode {decision.mode}. Enabled triggers: {', '.join(name.replace('_', ' ') for name in policy.triggers)}.",
                f"Drift retrains from severity {policy.retrain_on_drift_severity} upwards, and only while performance is unknown.",
                _age(policy),
                _training_window(policy),
                *_restraints(policy),
            ],
        ),
    ]
    return render_page("Retraining decision", verdict, tone, sections)


def _scores(decision: Decision) -> list[Section]:
    """Return the scores that were compared, under the names that the performance report gives them."""
    promotion, expected, now = decision.at_promotion, decision.expected, decision.measured
    if promotion is None or now is None:
        return []
    rows: list[list[str | float | None]] = [["At promotion", promotion.score, promotion.lower, promotion.upper]]
    note = "95 % intervals. There is no measured window since the promotion yet, so the score is compared with the one at promotion."
    if expected is not None:
        rows.append(["Expected from its track record", expected.score, expected.lower, expected.upper])
        windows = "the window" if expected.windows == 1 else f"the {expected.windows} windows"
        note = (
            f"95 % intervals. The track record is the promotion and {windows} since in which the champion did not degrade; the score now is compared with it."
        )
    rows.append(["Now", now.score, now.lower, now.upper])
    return [Section(f"Scores ({now.metric})", table=Table(["", "Score", "Lower", "Upper"], rows, note=note))]


def _restraints(policy: Policy) -> list[str]:
    hysteresis, budget, cooldown = policy.hysteresis, policy.budget, policy.cooldown_days
    said = []
    if policy.minimum_rows_since_change:
        said.append(f"After a change, no challenger is trained before about {policy.minimum_rows_since_change:,} labelled rows have come since.")
    if policy.follow_up_windows:
        said.append(f"After a promotion in response to a change, another challenger comes whenever the rows since the change double, {_for_windows(policy)}.")
    if hysteresis.windows > 1:
        said.append(f"Performance, drift and feedback retrain when they fire in {hysteresis.needed} of the last {hysteresis.windows} windows.")
    if cooldown is not None:
        said.append(f"After a retraining, there is no other for {cooldown:g} days.")
    if budget is not None:
        said.append(f"At most {budget.retrains} retrainings in {budget.days:g} days.")
    if policy.retrain_on_estimate:
        said.append("When labels are missing, a score estimated from the model's confidences may retrain.")
    if policy.vetoes:
        said.append(f"Vetoes: {', '.join(name.replace('_', ' ') for name in policy.vetoes)}.")
    return said


def _for_windows(policy: Policy) -> str:
    return "in the next window only" if policy.follow_up_windows == 1 else f"for {policy.follow_up_windows} windows"


def _consequences(decision: Decision, policy: Policy) -> list[str]:
    """Return what the decision means for the challenger."""
    said = []
    changed = change_sentence(decision.changed_at, 0)
    if changed:
        said.append(changed)
    if decision.choose_rows:
        said.append(
            "The rows to learn from are chosen: models of several training windows, with and without weights that fade with age, and former champions are "
            "compared on the newest rows, and the best of them becomes the challenger."
        )
    if decision.training_since:
        said.append(f"The challenger learns from all rows since {decision.training_since}, if that is longer than the training window.")
    if decision.champion_stale and policy.gate.stale_champion == "higher_score":
        said.append("This is evidence against the champion itself, so the gate requires only a higher score on the same rows, not proof by an interval.")
    return said


def _training_window(policy: Policy) -> str:
    if policy.training_window == "fixed":
        return "A challenger learns from the training window only."
    return (
        "While performance holds, a challenger learns from all rows since performance last changed, even if they are older than the training window. When "
        "the relation between inputs and label may have changed, the rows to learn from are chosen among several training windows."
    )


def _age(policy: Policy) -> str:
    days, spans = policy.maximum_model_age_days, policy.maximum_model_age_spans
    limits = [f"{days:g} days"] if days is not None else []
    limits += [f"{spans:g} times the span of its training data"] if spans is not None else []
    return f"A champion older than {' or '.join(limits)} is retrained." if limits else "Age alone never triggers a retraining."


def _text(value: float | str | None) -> str | None:
    return format_number(value) if isinstance(value, (int, float)) else value
