"""The user feedback trigger: sources are weighted by reliability and capped so that no single source decides."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.results.decision import Trigger

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.policy.feedback_settings import FeedbackSettings

NAME = "feedback"


def feedback(evidence: Evidence, settings: FeedbackSettings) -> Trigger:
    """Fire when the share of negative feedback reliably exceeds the policy's limit, no matter how active a single source is.

    Each item counts with the reliability of its source, and no source may exceed the policy's share of the total weight. The lower bound
    of the 95 % Wilson interval of the weighted share must exceed the threshold, with the total weight as the number of rows.

    Args:
        evidence: The evidence, with the counts of read_feedback as ``feedback``.
        settings: The policy's ``feedback`` section.
    """
    threshold = settings.negative_share
    heard = evidence.feedback
    if heard is None or not heard.present:
        return Trigger(NAME, None, threshold, "quiet", (heard and heard.sentence) or "No user feedback was read.")
    raw = {entry.source: entry.rows * settings.reliability.get(entry.source, settings.default_reliability) for entry in heard.sources}
    bad = {entry.source: entry.negative / entry.rows if entry.rows else 0.0 for entry in heard.sources}
    weights = capped_weights(raw, settings.maximum_source_share)
    said = f"{heard.rows:,} feedback items from {len(raw):,} sources"
    if weights is None:
        needed = math.ceil(1 / settings.maximum_source_share)
        why = f"with at most {settings.maximum_source_share:.0%} of the weight per source, at least {needed} sources with nonzero weight are required"
        return Trigger(NAME, None, threshold, "cannot tell", f"Cannot tell whether users complain: {said}; {why}.")
    total = sum(weights.values())
    if total < settings.minimum_weight:
        cap = f"{settings.maximum_source_share:.0%}"
        why = f"with each source capped at {cap}, their total weight is {total:.4g}, and {settings.minimum_weight:g} is required"
        return Trigger(NAME, None, threshold, "cannot tell", f"Cannot tell whether users complain: {said}; {why}.")
    share = sum(weight * bad[name] for name, weight in weights.items()) / total
    lower = wilson_lower(share, total)
    numbers = f"{said}, {share:.0%} negative by weight (95 % lower bound {lower:.0%})"
    if lower > threshold:
        return Trigger(NAME, share, threshold, "fired", f"Users complain: {numbers}, above the limit of {threshold:.0%}.")
    return Trigger(NAME, share, threshold, "quiet", f"Users do not complain more than the policy allows: {numbers}; the limit is {threshold:.0%}.")


def capped_weights(weights: dict[str, float], maximum_share: float) -> dict[str, float] | None:
    """Cap the weights so that none exceeds a share of their sum; only weights above the cap are lowered.

    Args:
        weights: Weight of each source.
        maximum_share: Largest allowed share of the sum.

    Returns:
        The capped weights, or None when too few sources have any weight.
    """
    ordered = sorted((weight for weight in weights.values() if weight > 0), reverse=True)
    # Sum from the smallest up: subtracting the large ones would leave only rounding error.
    rests = list(itertools.accumulate(reversed(ordered)))[::-1]
    for capped, (weight, rest) in enumerate(zip(ordered, rests, strict=True)):
        # With this many sources at the cap, the others share what is left.
        left = 1 - capped * maximum_share
        if left <= 0:
            return None
        cap = maximum_share * rest / left
        # Tolerance, so that a rounding error does not rule out equal weights.
        if weight <= cap * (1 + 1e-9):
            return {name: min(given, cap) for name, given in weights.items()}
    return None


def wilson_lower(share: float, rows: float) -> float:
    """Return the lower bound of the 95 % confidence interval of a share (Wilson, 1927).

    Args:
        share: The observed share.
        rows: The number of rows it was observed in.
    """
    squared = NORMAL_QUANTILE**2
    centre = share + squared / (2 * rows)
    spread = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / rows + squared / (4 * rows**2))
    return (centre - spread) / (1 + squared / rows)
