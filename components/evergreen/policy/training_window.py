"""How far back the training data of a challenger may reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.policy.history import last_change

if TYPE_CHECKING:
    from evergreen.policy.evidence import Evidence
    from evergreen.policy.policy_file import Policy


def training_since(evidence: Evidence, policy: Policy) -> str:
    """Return the time since which the relation between inputs and label has not changed, ISO, UTC; empty if unknown.

    While the champion's performance holds, what it learned is still valid, and so are all rows since performance last changed, or since its own
    first row if it never did. When performance is degraded or unknown, older rows may reflect a relation that no longer holds.

    Args:
        evidence: The evidence.
        policy: The policy; with ``training_window: fixed``, only the training window is used.
    """
    if policy.training_window == "fixed" or evidence.performance.verdict != "holds" or evidence.window_end == "latest":
        return ""
    return last_change(evidence) or (evidence.baseline.fit_start if evidence.baseline else "")
