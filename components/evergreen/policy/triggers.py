"""The triggers: each looks at one kind of evidence and says whether it asks for a retraining."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from evergreen.policy.errors import PolicyError

SEVERITIES = ("none", "slight", "moderate", "severe")
MODES = ("auto", "force", "dry-run")


@dataclass(frozen=True)
class Evidence:
    """What a decision is made from.

    Attributes:
        drift: The result of detect_drift.
        performance: The result of monitor_performance.
        baseline: The champion's baseline; ``{"present": False}`` when there is none.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the watched window, ISO, UTC; ``latest`` when it is not known.
    """

    drift: dict[str, Any]
    performance: dict[str, Any]
    baseline: dict[str, Any]
    mode: str
    window_end: str


@dataclass(frozen=True)
class Trigger:
    """What one trigger says.

    Attributes:
        name: Its name.
        value: What it measured.
        threshold: From where on it fires; None when it has no number.
        verdict: ``fired``, ``quiet`` or ``cannot tell``.
        sentence: The same in one sentence, with numbers.
    """

    name: str
    value: float | str | None
    threshold: float | str | None
    verdict: str
    sentence: str


def no_champion(evidence: Evidence) -> Trigger:
    """Fire when there is no champion."""
    if not evidence.baseline.get("present", False):
        return Trigger("no_champion", "none", None, "fired", "There is no champion yet, so a first model is trained.")
    version = str(evidence.baseline.get("version", "unknown"))
    return Trigger("no_champion", version, None, "quiet", f"Version {version} is the champion.")


def explicit_request(evidence: Evidence) -> Trigger:
    """Fire when a person asked for a retraining (mode ``force``)."""
    if evidence.mode == "force":
        return Trigger("explicit_request", "force", None, "fired", "A retraining was asked for (mode force).")
    return Trigger("explicit_request", evidence.mode, None, "quiet", f"No retraining was asked for (mode {evidence.mode}).")


def performance(evidence: Evidence) -> Trigger:
    """Fire when the champion's performance has degraded."""
    result = evidence.performance
    score, margin = result.get("score"), result.get("margin")
    verdict = str(result.get("verdict", ""))
    if verdict == "degraded":
        return Trigger("performance", score, margin, "fired", _degraded_sentence(result))
    if verdict == "holds":
        metric = metric_name(result.get("metric"))
        words = f"{metric} holds: {_scored(result, '')}, against {_scored(result, 'baseline_')} at the champion's promotion."
        return Trigger("performance", score, margin, "quiet", words)
    if verdict in ("cannot tell", "no champion"):
        why = str(result.get("sentence") or ("There is no champion." if verdict == "no champion" else "There are too few labelled rows."))
        return Trigger("performance", score, margin, "cannot tell", f"Whether performance holds cannot be told: {why}")
    raise PolicyError(
        f"performance result: verdict {verdict!r} is unknown; expected 'holds', 'degraded', 'cannot tell' or 'no champion'. Check monitor_performance."
    )


def input_drift(evidence: Evidence, *, retrain_on: str) -> Trigger:
    """Fire when the inputs drift at least as severely as the policy says.

    Args:
        evidence: What is known.
        retrain_on: The smallest severity that fires.
    """
    verdict, severity = str(evidence.drift.get("verdict", "")), str(evidence.drift.get("severity", "none"))
    sentence = str(evidence.drift.get("sentence") or "")
    if severity not in SEVERITIES:
        raise PolicyError(f"drift result: severity {severity!r} is unknown; expected one of {', '.join(SEVERITIES)}. Check detect_drift.")
    if verdict == "drift":
        fired = SEVERITIES.index(severity) >= SEVERITIES.index(retrain_on)
        share = evidence.drift.get("share_drifted")
        words = sentence or f"The inputs drift ({severity}{f', {share:.0%} of the features' if isinstance(share, (int, float)) else ''})."
        return Trigger("input_drift", severity, retrain_on, "fired" if fired else "quiet", words)
    if verdict == "no drift":
        return Trigger("input_drift", "none", retrain_on, "quiet", sentence or "The inputs do not drift.")
    if verdict in ("insufficient", "no champion"):
        why = sentence or ("There is no champion." if verdict == "no champion" else "There are too few rows.")
        return Trigger("input_drift", verdict, retrain_on, "cannot tell", f"Whether the inputs drift cannot be told: {why}")
    raise PolicyError(f"drift result: verdict {verdict!r} is unknown; expected 'drift', 'no drift', 'insufficient' or 'no champion'. Check detect_drift.")


def model_age(evidence: Evidence, *, maximum_days: float | None) -> Trigger:
    """Fire when the newest row the champion has seen is older than the policy allows.

    Args:
        evidence: What is known; the age is the end of the window minus ``fit_end`` of the baseline.
        maximum_days: The largest age in days; None when any age will do.
    """
    fit_end = evidence.baseline.get("fit_end")
    age = _days_between(str(fit_end), evidence.window_end) if fit_end and evidence.window_end != "latest" else None
    if age is None:
        verdict = "quiet" if maximum_days is None else "cannot tell"
        return Trigger("model_age", None, maximum_days, verdict, "The age of the champion is not known.")
    words = f"The champion has seen rows up to {fit_end}, {age:.4g} days before the end of the window"
    if maximum_days is None:
        return Trigger("model_age", age, None, "quiet", f"{words}; the policy sets no maximum.")
    if age > maximum_days:
        return Trigger("model_age", age, maximum_days, "fired", f"{words}, more than the maximum of {maximum_days:g} days.")
    return Trigger("model_age", age, maximum_days, "quiet", f"{words}, within the maximum of {maximum_days:g} days.")


def metric_name(metric: Any) -> str:
    """Return a scorer's name as the start of a sentence: ``neg_mean_absolute_error`` becomes ``Mean absolute error (negated)``."""
    name = str(metric or "the score")
    words = name.removeprefix("neg_").replace("_", " ").capitalize()
    return f"{words} (negated)" if name.startswith("neg_") else words


def _degraded_sentence(result: dict[str, Any]) -> str:
    margin = result.get("margin") or 0.0
    beyond = f", more than the margin of {margin:.3g}" if margin else ", more than chance explains"
    return f"{metric_name(result.get('metric'))} fell from {_scored(result, 'baseline_')} to {_scored(result, '')}{beyond}."


def _scored(result: dict[str, Any], prefix: str) -> str:
    score = result.get(f"{prefix}score")
    # The score itself has no prefix before "lower" and "upper"; the baseline's have one.
    lower, upper = result.get(f"{prefix}lower"), result.get(f"{prefix}upper")
    if score is None:
        return "an unknown score"
    return f"{score:.3g}" if lower is None or upper is None else f"{score:.3g} ({lower:.3g} to {upper:.3g})"


def _days_between(start: str, end: str) -> float:
    return (_time(end, "window_end") - _time(start, "fit_end")).total_seconds() / 86_400


def _time(text: str, name: str) -> datetime:
    try:
        # Python 3.10 does not read the "Z".
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise PolicyError(f"{name} {text!r} is no time: expected ISO text such as 1981-01-01T00:00:00Z. Pass what ingest_data returned.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
