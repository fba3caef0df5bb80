"""The triggers: each examines one kind of evidence and says whether it calls for a retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.policy.history import days_between, days_text, share_of_growth, since_champion, windows_since_recovery
from evergreen.results.decision import Trigger
from evergreen.results.drift import SEVERITIES
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.results.baseline import Baseline
    from evergreen.results.decision import TriggerVerdict
    from evergreen.results.drift import Severity
    from evergreen.results.performance import PerformanceResult

MODES = ("auto", "force", "dry-run")


def no_champion(evidence: Evidence) -> Trigger:
    """Fire when there is no champion."""
    if evidence.baseline is None:
        return Trigger("no_champion", "none", None, "fired", "There is no champion yet, so the first model is trained.")
    version = evidence.baseline.version or "unknown"
    return Trigger("no_champion", version, None, "quiet", f"Version {version} is the champion.")


def explicit_request(evidence: Evidence) -> Trigger:
    """Fire when a person requested a retraining (mode ``force``)."""
    if evidence.mode == "force":
        return Trigger("explicit_request", "force", None, "fired", "A retraining was requested (mode force).")
    return Trigger("explicit_request", evidence.mode, None, "quiet", f"No retraining was requested (mode {evidence.mode}).")


def external_event(evidence: Evidence) -> Trigger:
    """Fire when an external event calls for a retraining: a new product, a changed law, a repaired sensor."""
    if is_nothing(evidence.event):
        return Trigger("external_event", "none", None, "quiet", "No event was reported.")
    return Trigger("external_event", evidence.event, None, "fired", f"An event calls for a retraining: {evidence.event}.")


def performance(evidence: Evidence, *, on_estimate: bool = False) -> Trigger:
    """Fire when the champion's performance has degraded.

    Args:
        evidence: The evidence.
        on_estimate: Whether an estimate without labels may fire when there is no measurement and the inputs do not drift severely.
    """
    result = evidence.performance
    if result.verdict == "degraded":
        return Trigger("performance", result.score, result.margin, "fired", _degraded_sentence(evidence))
    if result.verdict == "holds":
        words = f"{metric_name(result.metric)} holds: {_now(result)}, against {_before(result)}."
        return Trigger("performance", result.score, result.margin, "quiet", words)
    why = result.sentence or ("There is no champion." if result.verdict == "no champion" else "There are too few labelled rows.")
    words = f"Cannot tell whether performance holds: {why.removeprefix('Cannot tell: ')}"
    return _untold(words, result, far=evidence.drift.severity == "severe", on_estimate=on_estimate)


def probe(evidence: Evidence) -> Trigger:
    """Fire when a small model of the champion's recipe, fitted on newer rows, is better than the champion by more than chance can explain.

    In the first window of a champion, the gain must be twice the minimum: while a relation changes slowly, a new model is a little better in every
    window, and most of that gain is also had by retraining in every other one.
    """
    found = evidence.performance.probe
    if found is None:
        return Trigger("probe", None, None, "cannot tell", "Whether a new model would be better was not probed.")
    gain = None if found.best is None else found.best.gain
    if found.verdict != "better" or gain is None or found.minimum_gain is None:
        return Trigger("probe", gain, found.minimum_gain, "cannot tell" if found.verdict == "cannot tell" else "quiet", found.sentence)
    needed = found.minimum_gain if since_champion(evidence) else 2 * found.minimum_gain
    if gain >= needed:
        return Trigger("probe", gain, needed, "fired", found.sentence)
    words = f"{found.sentence} In a champion's first window, the policy retrains for a gain of at least {needed:.2g}."
    return Trigger("probe", gain, needed, "quiet", words)


def _untold(words: str, result: PerformanceResult, *, far: bool, on_estimate: bool) -> Trigger:
    estimate, margin = result.estimate, result.margin
    if estimate is None or not estimate.available:
        return Trigger("performance", result.score, margin, "cannot tell", words)
    known = f"{words} {estimate.sentence}"
    if far:
        # A model's confidences have only been verified close to its training data; far from it, severe drift is the better evidence.
        known += " The inputs drift severely, so the champion's confidences are untested on such data and the estimate may be far off."
        return Trigger("performance", estimate.score, margin, "cannot tell", known)
    if estimate.verdict != "degraded":
        return Trigger("performance", estimate.score, margin, "cannot tell", known)
    fell = f"That is {estimate.drop or 0.0:.3g} below the score at promotion, more than chance can explain"
    if on_estimate:
        return Trigger("performance", estimate.score, margin, "fired", f"{known} {fell}, and the policy retrains on an estimate.")
    return Trigger("performance", estimate.score, margin, "cannot tell", f"{known} {fell}; the policy does not retrain on an estimate.")


def input_drift(evidence: Evidence, *, retrain_on: Severity) -> Trigger:
    """Fire when the inputs drift at least as severely as the policy's threshold.

    Args:
        evidence: The evidence.
        retrain_on: The lowest severity that fires.
    """
    found = evidence.drift
    if found.verdict == "drift":
        fired = SEVERITIES.index(found.severity) >= SEVERITIES.index(retrain_on)
        share = "" if found.share_drifted is None else f", {found.share_drifted:.0%} of the features"
        words = found.sentence or f"The inputs drift ({found.severity}{share})."
        return Trigger("input_drift", found.severity, retrain_on, "fired" if fired else "quiet", words)
    if found.verdict == "no drift":
        return Trigger("input_drift", "none", retrain_on, "quiet", found.sentence or "The inputs do not drift.")
    why = found.sentence or ("There is no champion." if found.verdict == "no champion" else "There are too few rows.")
    return Trigger("input_drift", found.verdict, retrain_on, "cannot tell", f"Cannot tell whether the inputs drift: {why}")


def prediction_drift(evidence: Evidence, *, retrain_on: Severity) -> Trigger:
    """Fire when the champion's predictions drift at least as severely as the policy's threshold.

    Args:
        evidence: The evidence.
        retrain_on: The lowest severity that fires.
    """
    found = evidence.drift.prediction
    if found is None:
        return Trigger("prediction_drift", None, retrain_on, "cannot tell", "The champion's predictions were not compared.")
    if not found.drift:
        return Trigger("prediction_drift", "none", retrain_on, "quiet", "The champion's predictions do not drift.")
    fired = SEVERITIES.index(found.severity) >= SEVERITIES.index(retrain_on)
    return Trigger("prediction_drift", found.severity, retrain_on, "fired" if fired else "quiet", f"The champion's predictions drift ({found.severity}).")


def follow_up(evidence: Evidence, *, windows: int) -> Trigger:
    """Fire after a promotion in response to a change, whenever the number of rows since the change has doubled.

    The first challenger after a change has seen few new rows; the next one is worth its cost when there are twice as many, unless the probe finds that
    a new model would be hardly better.

    Args:
        evidence: The evidence.
        windows: Number of windows after the promotion; 0 means never.
    """
    number = windows_since_recovery(evidence)
    if number is None:
        return Trigger("follow_up", None, windows, "quiet", "The champion was not promoted in response to a change of its performance.")
    words = f"This is window {number} after a promotion in response to a change of performance"
    growth = share_of_growth(evidence)
    # Where the time of the change is unknown, a power of two: the rows since the change have about doubled since the last such window.
    doubled = number & (number - 1) == 0 if growth is None else growth >= 2
    if number <= windows and doubled and _promising(evidence):
        return Trigger("follow_up", number, windows, "fired", f"{words}, and twice as many rows since the change may give a better model.")
    return Trigger("follow_up", number, windows, "quiet", f"{words}; the policy retrains whenever the rows since the change double, up to window {windows}.")


def _promising(evidence: Evidence) -> bool:
    """Return whether a new model may be better as far as the probe can tell: at least half of the gain that matters."""
    found = evidence.performance.probe
    if found is None or found.best is None or found.best.gain is None or found.minimum_gain is None:
        return True
    return found.best.gain >= found.minimum_gain / 2


def new_data(evidence: Evidence, *, minimum_rows: int | None) -> Trigger:
    """Fire when enough rows have arrived since the champion was fitted.

    Args:
        evidence: The evidence; rows of earlier windows are counted as recorded in their decisions.
        minimum_rows: Number of rows at which it fires; None means never.
    """
    now = evidence.drift.current_rows
    if now is None:
        verdict: TriggerVerdict = "quiet" if minimum_rows is None else "cannot tell"
        return Trigger("new_data", None, minimum_rows, verdict, "The number of new rows is unknown.")
    rows = now + sum(past.rows for past in since_champion(evidence))
    words = f"{rows:,} rows have arrived since the champion was fitted"
    if minimum_rows is None:
        return Trigger("new_data", rows, None, "quiet", f"{words}; the policy sets no threshold.")
    if rows >= minimum_rows:
        return Trigger("new_data", rows, minimum_rows, "fired", f"{words}, and the policy retrains at {minimum_rows:,}.")
    return Trigger("new_data", rows, minimum_rows, "quiet", f"{words}; the policy retrains at {minimum_rows:,}.")


def model_age(evidence: Evidence, *, maximum_days: float | None, maximum_spans: float | None = None) -> Trigger:
    """Fire when the champion is older than the policy allows.

    Args:
        evidence: The evidence. The age is the end of the window minus ``fit_end`` of the baseline, or minus the window of a
            later challenger that was trained and did not pass, because it showed that newer rows do not improve the model.
        maximum_days: Maximum age in days; None for no limit.
        maximum_spans: Maximum age in multiples of the time span of the champion's training data. It doubles with each challenger that did
            not pass, because by then there is twice as much data to learn from. If both are set, the shorter age applies.
    """
    fit_end = evidence.fit_end
    if not fit_end or evidence.window_end == "latest":
        verdict: TriggerVerdict = "quiet" if maximum_days is None else "cannot tell"
        return Trigger("model_age", None, maximum_days, verdict, "The age of the champion is unknown.")
    age = days_between(fit_end, evidence.window_end)
    words = f"The champion has seen rows up to {fit_end}, {days_text(age)} days before the end of the window"
    tried = [past.window_end for past in since_champion(evidence) if past.retrained]
    if tried:
        age = days_between(tried[-1], evidence.window_end)
        words += f", and a challenger was trained on newer rows {days_text(age)} days ago"
    by_span = _days_by_span(evidence.baseline, maximum_spans, rejected=len(tried))
    if by_span is not None and (maximum_days is None or by_span <= maximum_days):
        limit = f"the policy retrains after {days_text(by_span)} days"
        return Trigger("model_age", age, by_span, "fired" if age >= by_span else "quiet", f"{words}; {limit}.")
    if maximum_days is None:
        return Trigger("model_age", age, None, "quiet", f"{words}; the policy sets no maximum.")
    if age > maximum_days:
        return Trigger("model_age", age, maximum_days, "fired", f"{words}, more than the maximum of {maximum_days:g} days.")
    return Trigger("model_age", age, maximum_days, "quiet", f"{words}, within the maximum of {maximum_days:g} days.")


def _days_by_span(baseline: Baseline | None, spans: float | None, *, rejected: int) -> float | None:
    """Return the maximum age based on the days between the champion's first and last row; None if they are unknown or equal."""
    if spans is None or baseline is None or not baseline.fit_start or not baseline.fit_end:
        return None
    return spans * days_between(baseline.fit_start, baseline.fit_end) * 2**rejected or None


def metric_name(metric: str) -> str:
    """Format a scorer's name for the start of a sentence: ``neg_mean_absolute_error`` becomes ``Mean absolute error (negated)``."""
    name = metric or "the score"
    words = name.removeprefix("neg_").replace("_", " ").capitalize()
    return f"{words} (negated)" if name.startswith("neg_") else words


def _degraded_sentence(evidence: Evidence) -> str:
    result = evidence.performance
    beyond = f"more than the margin of {result.margin:.3g}" if result.margin else "more than chance can explain"
    return f"{metric_name(result.metric)} fell to {_now(result)} from {_before(result)}, {beyond}."


def _now(result: PerformanceResult) -> str:
    return _scored(result.score, result.lower, result.upper)


def _before(result: PerformanceResult) -> str:
    promotion = f"{_scored(result.baseline_score, result.baseline_lower, result.baseline_upper)} at promotion"
    expected = result.expected
    if expected is None:
        return promotion
    windows = "the window" if expected.windows == 1 else f"{expected.windows} windows"
    known = _scored(expected.score, expected.lower, expected.upper)
    return f"{known} expected from its track record (the promotion and {windows} since; {promotion})"


def _scored(score: float | None, lower: float | None, upper: float | None) -> str:
    if score is None:
        return "an unknown score"
    return f"{score:.3g}" if lower is None or upper is None else f"{score:.3g} ({lower:.3g} to {upper:.3g})"
