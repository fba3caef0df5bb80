"""Settings with which the gate would probably have let a challenger through, chosen from the reason for which it was rejected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evergreen.results.repair import ProposedSetting
from evergreen.settings.yaml_values import yaml_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.results.evaluation import Evaluation

FEWEST_ROWS = 2
"""With fewer rows, the gate rejects whatever it is told to do when a comparison is inconclusive."""


def settings_for_gate(evaluation: Evaluation, gate: Mapping[str, Any], *, champion_stale: bool, holdout_share: float | None) -> list[ProposedSetting]:
    """Return settings that address the reason of a rejection, the best first; empty if no setting does.

    Args:
        evaluation: The evaluation that rejected the challenger.
        gate: The ``gate`` section of the policy, as plain values.
        champion_stale: Whether the policy found the champion stale.
        holdout_share: Share of the rows that were held out; None if unknown or chosen by the training step.
    """
    return [*_baseline(evaluation, gate), *_for_conclusion(evaluation, gate, champion_stale=champion_stale, holdout_share=holdout_share)]


def _for_conclusion(evaluation: Evaluation, gate: Mapping[str, Any], *, champion_stale: bool, holdout_share: float | None) -> list[ProposedSetting]:
    if evaluation.conclusion == "failed check":
        return _checks(evaluation, gate)
    if evaluation.conclusion == "below floor":
        return _floors(evaluation, gate)
    if evaluation.conclusion == "cannot tell":
        return _inconclusive(evaluation, gate, holdout_share=holdout_share)
    if evaluation.conclusion == "not better":
        return _not_better(evaluation, gate, champion_stale=champion_stale, holdout_share=holdout_share)
    return []


def _not_better(evaluation: Evaluation, gate: Mapping[str, Any], *, champion_stale: bool, holdout_share: float | None) -> list[ProposedSetting]:
    difference = evaluation.difference
    if difference is None or difference <= 0:
        return []
    found = []
    margin = max(0.0, evaluation.margin)
    if champion_stale and gate.get("stale_champion") == "proven_better" and difference > margin:
        effect = f"A higher score on the same rows, here by {difference:.3g}, then suffices against a degraded champion."
        found.append(_of_policy("stale_champion", "proven_better", "higher_score", effect))
    elif champion_stale and gate.get("stale_champion") == "higher_score" and difference <= margin:
        effect = f"The challenger scores higher by {difference:.3g}, which then suffices against a degraded champion."
        found.append(ProposedSetting("parameter", "evaluation_margin", yaml_text(evaluation.margin), "0.0", effect))
    if evaluation.rows_seen_by_champion == 0:
        found += _larger_holdout(holdout_share)
    lower = evaluation.difference_lower
    if lower is not None and not any(setting.name == "evaluation_margin" for setting in found):
        effect = f"The lower bound of the difference, {lower:.3g}, is then above the margin: a challenger need not be proven better, only not much worse."
        found.append(ProposedSetting("parameter", "evaluation_margin", yaml_text(evaluation.margin), yaml_text(_below(lower)), effect))
    return found


def _inconclusive(evaluation: Evaluation, gate: Mapping[str, Any], *, holdout_share: float | None) -> list[ProposedSetting]:
    found = []
    unclear = [check["name"] for check in evaluation.checks if check.get("verdict") == "cannot tell"]
    few = evaluation.challenger_score is None
    if not few and evaluation.champion_score is None and not unclear:
        beats = evaluation.naive_score is None or (evaluation.challenger_score or 0.0) > evaluation.naive_score
        if gate.get("allow_unscorable_champion") is False and beats:
            effect = "A challenger that beats a constant may then replace a champion that can no longer be scored."
            found.append(_of_policy("allow_unscorable_champion", current=False, proposed=True, effect=effect))
        return found
    # Rows that the champion has seen cannot be compared on, so a larger holdout helps only if it would reach into new rows.
    if few and evaluation.rows_seen_by_champion == 0:
        found += _larger_holdout(holdout_share)
    if gate.get("when_unclear") == "reject" and (unclear or evaluation.rows >= FEWEST_ROWS):
        what = f"an unclear check ({', '.join(unclear)})" if unclear else "an inconclusive comparison"
        found.append(_of_policy("when_unclear", "reject", "promote", f"The challenger is then promoted despite {what}."))
    return found


def _larger_holdout(share: float | None) -> list[ProposedSetting]:
    if share is None or share >= 0.5:
        return []
    effect = "More rows to compare on make the interval of the difference narrower."
    return [ProposedSetting("parameter", "evaluation_holdout_share", yaml_text(share), yaml_text(round(min(0.5, 2 * share), 2)), effect)]


def _baseline(evaluation: Evaluation, gate: Mapping[str, Any]) -> list[ProposedSetting]:
    """Return the setting that lets the constant baseline replace a champion that is worse than it."""
    naive, champion = evaluation.naive_score, evaluation.champion_score
    if gate.get("allow_baseline") is not False or naive is None or champion is None or champion >= naive:
        return []
    effect = f"The constant baseline, which scores {naive:.3g}, may then replace the champion, which scores {champion:.3g}, until there is a better model."
    return [_of_policy("allow_baseline", current=False, proposed=True, effect=effect)]


def _floors(evaluation: Evaluation, gate: Mapping[str, Any]) -> list[ProposedSetting]:
    floors: dict[str, float] = dict(gate.get("floors") or {})
    scores = {**evaluation.scores, evaluation.metric: evaluation.challenger_score}
    missed = {name: score for name, floor in floors.items() if (score := scores.get(name)) is not None and score < floor}
    naive = evaluation.naive_score
    # A challenger that is no better than a constant is rejected whatever the floors are.
    if not missed or (naive is not None and (evaluation.challenger_score or 0.0) <= naive):
        return []
    lowered = {**floors, **{name: _below(score) for name, score in missed.items()}}
    return [_of_policy("floors", floors, lowered, f"The challenger then meets the floor for {', '.join(missed)}.")]


def _checks(evaluation: Evaluation, gate: Mapping[str, Any]) -> list[ProposedSetting]:
    failed = [check for check in evaluation.checks if check.get("verdict") == "failed"]
    return [setting for check in failed if (setting := _for_check(check, evaluation, gate)) is not None]


def _for_check(check: Mapping[str, Any], evaluation: Evaluation, gate: Mapping[str, Any]) -> ProposedSetting | None:
    kind, details = str(check.get("name", "")), dict(check.get("details") or {})
    margins = dict(gate.get("other_metrics") or {})
    metric = kind.removeprefix("metric ")
    if kind.startswith("metric ") and metric in margins and "lower" in details:
        wider = {**margins, metric: _above(-details["lower"])}
        return _of_policy("other_metrics", margins, wider, f"The challenger is then within the margin for {metric}.")
    if kind == "slices":
        return _slices(evaluation, gate)
    limit, value = _limit_of(kind, details, evaluation)
    section, _, name = limit.rpartition(".")
    current = (gate.get(section) or {}).get(name) if section else gate.get(name)
    if not limit or current is None or value is None or value <= current:
        return None
    return _of_policy(limit, current, _above(value), f"The challenger then passes the check {kind!r}.")


def _limit_of(kind: str, details: Mapping[str, Any], evaluation: Evaluation) -> tuple[str, float | None]:
    """Return the setting that limits what a check measures, and the value that it measured."""
    if kind.startswith(("demographic parity", "equalised odds")):
        gaps = [max(rate.values()) - min(rate.values()) for rate in details.get("rates", []) if len(rate) > 1]
        return f"fairness.{'_'.join(kind.split()[:2])}", max(gaps, default=None)
    if kind == "calibration":
        return "calibration_error", evaluation.calibration.error if evaluation.calibration else None
    if kind.startswith("stress"):
        return "stress_change", max(dict(details.get("changes") or {}).values(), default=None)
    return {
        "serving: latency": ("serving.p99_milliseconds", details.get("p99_milliseconds")),
        "serving: size": ("serving.model_megabytes", details.get("megabytes")),
        "serving: memory": ("serving.memory_megabytes", details.get("megabytes")),
    }.get(kind, ("", None))


def _slices(evaluation: Evaluation, gate: Mapping[str, Any]) -> ProposedSetting | None:
    worse = [item for item in evaluation.slices if item.get("verdict") == "worse" and item.get("difference") is not None]
    margin = gate.get("slice_margin")
    # A slice with a margin of its own is not affected by the margin for all.
    if not worse or margin is None or any(item.get("margin") != margin for item in worse):
        return None
    wider = _above(max(-item["difference"] for item in worse))
    named = ", ".join(str(item.get("name")) for item in worse)
    return _of_policy("slice_margin", margin, wider, f"The challenger is then within the margin on {named}.")


def _of_policy(name: str, current: Any, proposed: Any, effect: str) -> ProposedSetting:
    return ProposedSetting("policy", f"gate.{name}", yaml_text(current), yaml_text(proposed), effect)


def _below(value: float) -> float:
    """Return a number with three digits just below another one."""
    return _rounded(value, math.floor)


def _above(value: float) -> float:
    """Return a number with three digits just above another one."""
    return _rounded(value, math.ceil)


def _rounded(value: float, how: Any) -> float:
    if value == 0:
        return float(how(-0.5 if how is math.floor else 0.5)) * 0.001
    digits = 2 - math.floor(math.log10(abs(value)))
    scaled = value * 10**digits
    # Equal numbers would not pass a strict comparison.
    moved = how(scaled) if how(scaled) != scaled else scaled + (1 if how is math.ceil else -1)
    return float(round(moved / 10**digits, digits))
