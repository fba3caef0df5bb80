"""How far back a challenger may learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.policy.history import last_change

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.policy.policy_file import Policy


def training_since(evidence: Evidence, policy: Policy) -> str:
    """Return since when rows tell of one and the same relation between inputs and label, ISO, UTC; empty when nobody can tell.

    While the champion's performance holds, what it learned is still right, and so are all rows since performance last changed, or since its own
    first row when it never did. When performance is degraded or cannot be told, older rows may teach what is no longer so.

    Args:
        evidence: What is known.
        policy: The policy; with ``training_window: fixed`` nothing beyond the training window is asked for.
    """
    if policy.training_window == "fixed" or evidence.performance.verdict != "holds" or evidence.window_end == "latest":
        return ""
    return last_change(evidence) or (evidence.baseline.fit_start if evidence.baseline else "")
