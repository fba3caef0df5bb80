"""The trigger for what users say: weighed by how reliable a source is, and capped, so that no single source decides."""

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
    """Fire when a share of bad feedback is surely larger than the policy allows, however loud a single source is.

    Each thing said weighs as much as its source is reliable; then no source may have more than the policy's share of all weight. The
    lower end of the 95 % Wilson interval of the weighted share has to exceed the threshold, with the total weight as the number of rows.

    Args:
        evidence: What is known; its ``feedback`` is what read_feedback counted.
        settings: The policy's section ``feedback``.
    """
    threshold = settings.negative_share
    heard = evidence.feedback
    if heard is None or not heard.present:
        return Trigger(NAME, None, threshold, "quiet", (heard and heard.sentence) or "No feedback of users was read.")
    raw = {entry.source: entry.rows * settings.reliability.get(entry.source, settings.default_reliability) for entry in heard.sources}
    bad = {entry.source: entry.negative / entry.rows if entry.rows else 0.0 for entry in heard.sources}
    weights = capped_weights(raw, settings.maximum_source_share)
    said = f"{heard.rows:,} things were said by {len(raw):,} sources"
    if weights is None:
        needed = math.ceil(1 / settings.maximum_source_share)
        why = f"with at most {settings.maximum_source_share:.0%} of the weight for one source, {needed} sources that count are needed"
        return Trigger(NAME, None, threshold, "cannot tell", f"Whether users complain cannot be told: {said}; {why}.")
    total = sum(weights.values())
    if total < settings.minimum_weight:
        why = f"with no source above {settings.maximum_source_share:.0%} they weigh as much as {total:.4g}, and {settings.minimum_weight:g} are needed"
        return Trigger(NAME, None, threshold, "cannot tell", f"Whether users complain cannot be told: {said}; {why}.")
    share = sum(weight * bad[name] for name, weight in weights.items()) / total
    lower = wilson_lower(share, total)
    numbers = f"{said}, and {share:.0%} of their weight is bad (surely {lower:.0%})"
    if lower > threshold:
        return Trigger(NAME, share, threshold, "fired", f"Users complain: {numbers}, more than {threshold:.0%}.")
    return Trigger(NAME, share, threshold, "quiet", f"Users do not complain more than the policy allows: {numbers}; {threshold:.0%} is allowed.")


def capped_weights(weights: dict[str, float], maximum_share: float) -> dict[str, float] | None:
    """Return weights of which none is more than a share of their sum; only those above it are lowered.

    Args:
        weights: Weight of each source.
        maximum_share: Largest share of the sum.

    Returns:
        The weights, or None when there are too few sources with any weight for that.
    """
    ordered = sorted((weight for weight in weights.values() if weight > 0), reverse=True)
    # Summed from the smallest on: subtracting the large ones would leave nothing but rounding.
    rests = list(itertools.accumulate(reversed(ordered)))[::-1]
    for capped, (weight, rest) in enumerate(zip(ordered, rests, strict=True)):
        # With so many sources at the cap, the others hold what is left.
        left = 1 - capped * maximum_share
        if left <= 0:
            return None
        cap = maximum_share * rest / left
        # A rounding error must not keep equal weights from being allowed.
        if weight <= cap * (1 + 1e-9):
            return {name: min(given, cap) for name, given in weights.items()}
    return None


def wilson_lower(share: float, rows: float) -> float:
    """Return the lower end of the 95 % interval of a share (Wilson, 1927).

    Args:
        share: The share that was seen.
        rows: Of how many rows.
    """
    squared = NORMAL_QUANTILE**2
    centre = share + squared / (2 * rows)
    spread = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / rows + squared / (4 * rows**2))
    return (centre - spread) / (1 + squared / rows)
