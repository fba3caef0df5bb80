"""Whether a run leaves a degraded champion in service, and if so, everything that a person needs to know about it.

The rule is the same everywhere: the decision of the run found performance degraded, and no step of the run promoted another model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evergreen.reporting.attempts import attempts_of
from evergreen.reporting.gate_remedies import settings_for_gate
from evergreen.reporting.repair_times import degraded_since, moment_of, next_steps
from evergreen.reporting.step_results import EVALUATIONS, TRAININGS, first_of
from evergreen.results.repair import ProposedSetting, Repair
from evergreen.settings.yaml_values import yaml_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.reporting.step_results import StepResults
    from evergreen.results.decision import Decision
    from evergreen.results.evaluation import Evaluation
    from evergreen.runs.records import StepRecord

ALREADY = "already champion"

FEWEST_ROWS_TO_LEARN_FROM = 100
"""With fewer rows since the change, a training window that starts there is no advice."""


def find_repair(steps: Mapping[str, StepRecord], found: StepResults, *, model_name: str) -> Repair | None:
    """Return why a degraded champion was not repaired; None if it is not degraded, or the run promoted another model.

    Args:
        steps: Records of the steps, by name.
        found: Results of the steps.
        model_name: Name of the registered model, for commands to run.
    """
    decision = found.decision
    if decision is None or not decision.champion_degraded or _promoted(steps):
        return None
    cause, why = _cause(steps, found, decision)
    since, source, sentence = degraded_since(steps, found, decision)
    settings, all_needed = _settings(cause, steps, found, decision, since=since, model_name=model_name)
    metric = (found.performance.metric if found.performance else "") or (found.evaluation.metric if found.evaluation else "")
    return Repair(
        since,
        source,
        sentence,
        cause,
        why,
        metric,
        attempts_of(found, fitted_rows=_fitted_rows(steps)),
        settings,
        all_needed,
        next_steps(cause, found, decision),
    )


def _promoted(steps: Mapping[str, StepRecord]) -> bool:
    deployment = steps.get("deploy_model")
    if deployment is None or deployment.state != "succeeded":
        return False
    # A retried step finds its challenger promoted. But a challenger may also be the very champion that was found degraded.
    return deployment.outcome == "promoted" or (deployment.outcome == ALREADY and deployment.details.get("champion_after") != _champion_found(steps))


def _champion_found(steps: Mapping[str, StepRecord]) -> Any:
    loaded = steps.get("load_champion")
    return loaded.details.get("champion_version") if loaded else None


def _cause(steps: Mapping[str, StepRecord], found: StepResults, decision: Decision) -> tuple[str, str]:
    """Return why the champion was not repaired, in a word and in a sentence."""
    broken = next((record for record in steps.values() if record.state != "succeeded"), None)
    deployment = steps.get("deploy_model")
    if broken is not None:
        return "failed", f"The run failed in {broken.step_name}, before a better model was promoted."
    if deployment is not None:
        return _not_deployed(deployment)
    judged = first_of(steps, EVALUATIONS)
    if judged is not None and judged.outcome == "reject":
        return "rejected", _why_rejected(found.evaluation)
    if decision.decision == "keep":
        return decision.rule or "kept", _why_kept(decision)
    return "not promoted", "The policy decided to retrain, but no step of this run promoted a model."


def _not_deployed(deployment: StepRecord) -> tuple[str, str]:
    version = deployment.details.get("version") or "the challenger"
    return {
        "waiting for approval": ("waiting for approval", f"A better model passed the gate, and only a person's approval of version {version} is missing."),
        "dry run": ("dry run", "A better model passed the gate, and a dry run promotes nothing."),
        ALREADY: ("not promoted", "The challenger is the degraded champion itself: the same rows and recipe give the same model."),
    }.get(deployment.outcome, ("not promoted", "The step that deploys the challenger reported no promotion."))


def _why_rejected(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "The gate rejected the challenger; the record of the comparison cannot be read."
    reasons = " ".join(evaluation.reasons)
    return f"The gate rejected the challenger ({evaluation.conclusion})" + (f": {reasons}" if reasons else ".")


def _why_kept(decision: Decision) -> str:
    # A restraint is the last of the reasons, and so is the statement that the policy ignores the trigger.
    return decision.reasons[-1] if decision.reasons else "The policy kept the champion."


def _settings(
    cause: str, steps: Mapping[str, StepRecord], found: StepResults, decision: Decision, *, since: str, model_name: str
) -> tuple[list[ProposedSetting], bool]:
    """Return the settings that would probably help, and whether all of them are needed together."""
    outlook = decision.outlook
    foreseen = outlook.settings if outlook else []
    if cause == "failed":
        return [], False
    if cause == "waiting for approval":
        return _approval(str(steps["deploy_model"].details.get("version") or "VERSION"), model_name), False
    if cause == "dry run":
        effect = "A challenger that passes the gate is then promoted."
        return [ProposedSetting("parameter", "policy_mode", yaml_text("dry-run"), yaml_text("auto"), effect)], False
    if cause == "rejected" and found.evaluation is not None:
        gate = decision.policy.get("gate") or {}
        share = None if found.choice else _holdout_share(steps)
        for_gate = settings_for_gate(found.evaluation, gate, champion_stale=decision.champion_stale, holdout_share=share)
        for_rows = [] if found.choice else _rows_to_learn_from(steps, found, decision, since=since)
        # Choosing the rows to learn from addresses the cause, and the gate's demands only its consequence.
        ranked = sorted([*for_gate, *for_rows, *foreseen], key=lambda setting: setting.name != "training_window")
        return ranked[:2], False
    if outlook is not None and outlook.all_needed:
        return foreseen, True
    return foreseen[:2], False


def _approval(version: str, model_name: str) -> list[ProposedSetting]:
    command = f'evergreen approve {model_name} {version} --by "YOUR NAME" --reason "YOUR REASON"'
    return [
        ProposedSetting("command", "approve it", "", command, "The version becomes the champion at once."),
        ProposedSetting("parameter", "deployment_approval", "required", "automatic", "A challenger that passes the gate is then promoted by the run."),
    ]


def _holdout_share(steps: Mapping[str, StepRecord]) -> float | None:
    """Return the share of the rows that the training step held out, or None."""
    training = first_of(steps, TRAININGS)
    fitted, held_out = (_number(training.details.get(name)) if training else None for name in ("rows", "holdout_rows"))
    return round(held_out / (fitted + held_out), 2) if fitted and held_out else None


def _fitted_rows(steps: Mapping[str, StepRecord]) -> int | None:
    training = first_of(steps, TRAININGS)
    rows = _number(training.details.get("rows")) if training else None
    return int(rows) if rows else None


def _rows_to_learn_from(steps: Mapping[str, StepRecord], found: StepResults, decision: Decision, *, since: str) -> list[ProposedSetting]:
    """Return settings with which a challenger learns mainly from rows since the change."""
    days = _days(since, decision.window_end)
    rows = found.performance.rows_since_change if found.performance else 0
    told_twice = decision.outlook is not None and decision.outlook.windows > 1
    if not days or days < 1 or not (rows >= FEWEST_ROWS_TO_LEARN_FROM or (rows == 0 and told_twice)):
        return []
    proposed = []
    ingested = steps.get("ingest_training_data")
    window = _days(str(ingested.details.get("window_start", "")), str(ingested.details.get("window_end", ""))) if ingested else None
    if window and math.ceil(days) < round(window):
        effect = "A challenger then learns from the rows since the change only."
        proposed.append(ProposedSetting("parameter", "training_window_days", str(round(window)), str(math.ceil(days)), effect))
    half_life = (decision.policy.get("training") or {}).get("recency_half_life_days")
    shorter = max(1.0, float(round(days / 2)))
    if half_life is None or half_life > shorter:
        effect = "Rows since the change then outweigh older ones, if the estimator supports weights."
        proposed.append(ProposedSetting("policy", "training.recency_half_life_days", yaml_text(half_life), yaml_text(shorter), effect))
    return proposed


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _days(start: str, end: str) -> float | None:
    """Return the days between two ISO times; None if one of them is not a time."""
    first, last = moment_of(start), moment_of(end)
    return None if first is None or last is None else (last - first).total_seconds() / 86_400
