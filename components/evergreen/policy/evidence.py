"""What a decision is made from: what the steps of a run found, and past decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PastDecision:
    """An earlier decision about the same model.

    Attributes:
        window_end: End of the window it was about, ISO, UTC.
        decision: ``retrain`` or ``keep``.
        fired: Names of the triggers that fired.
        rows: Rows of the window.
        rule: What decided.
        completed: Whether the decision came to its end; False for a retraining that failed or was a dry run, so that no challenger was judged.
        promoted: Whether its challenger became champion and was not rolled back.
        measured: The champion's metric, score and interval in the window; empty when it was not measured.
    """

    window_end: str
    decision: str
    fired: tuple[str, ...] = ()
    rows: int = 0
    rule: str = ""
    completed: bool = True
    promoted: bool = False
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def retrained(self) -> bool:
        """Whether a challenger was trained and judged."""
        return self.decision == "retrain" and self.completed


@dataclass(frozen=True)
class Evidence:
    """What a decision is made from.

    Attributes:
        drift: The result of detect_drift.
        performance: The result of monitor_performance.
        baseline: The champion's baseline; ``{"present": False}`` when there is none.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the watched window, ISO, UTC; ``latest`` when it is not known.
        history: What was decided for this model before, in any order.
        validation: What validate_data answered: ``passed`` or ``passed with warnings``.
        event: What happened elsewhere and asks for a retraining, in a few words; ``none`` when nothing did.
        rollout_under_way: Whether a version of this model waits for approval or is being rolled out.
        feedback: What users said, as read_feedback counted it; empty when nothing was read.
    """

    drift: dict[str, Any]
    performance: dict[str, Any]
    baseline: dict[str, Any]
    mode: str
    window_end: str
    history: tuple[PastDecision, ...] = ()
    validation: str = "passed"
    event: str = "none"
    rollout_under_way: bool = False
    feedback: dict[str, Any] = field(default_factory=dict)
