"""The evidence for a decision: results of the run's steps and past decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.results.baseline import Baseline
    from evergreen.results.decision import Measurement
    from evergreen.results.drift import DriftResult
    from evergreen.results.feedback import Feedback
    from evergreen.results.performance import PerformanceResult


@dataclass(frozen=True)
class PastDecision:
    """An earlier decision about the same model.

    Attributes:
        window_end: End of the window it was made for, ISO, UTC.
        decision: ``retrain`` or ``keep``.
        fired: Names of the triggers that fired.
        rows: Number of rows in the window.
        rule: The rule that decided.
        completed: Whether the decision was carried out; False for a retraining that failed or was a dry run, so that no challenger was judged.
        promoted: Whether its challenger became champion and was not rolled back.
        measured: The champion's metric, score and interval in the window; None when it was not measured.
        changed_at: Event time since which the champion's errors differed, ISO, UTC; empty if no change was known.
    """

    window_end: str
    decision: str
    fired: tuple[str, ...] = ()
    rows: int = 0
    rule: str = ""
    completed: bool = True
    promoted: bool = False
    measured: Measurement | None = None
    changed_at: str = ""

    @property
    def retrained(self) -> bool:
        """Whether a challenger was trained and judged."""
        return self.decision == "retrain" and self.completed


@dataclass(frozen=True)
class Evidence:
    """The evidence for a decision.

    Attributes:
        drift: The result of detect_drift.
        performance: The result of monitor_performance.
        baseline: The champion's baseline; None when there is no champion.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the monitored window, ISO, UTC; ``latest`` if unknown.
        history: Earlier decisions about this model, in any order.
        validation: Outcome of validate_data: ``passed`` or ``passed with warnings``.
        event: Short description of an external event that calls for a retraining; ``none`` if there was none.
        rollout_under_way: Whether a version of this model is waiting for approval or being rolled out.
        feedback: User feedback as counted by read_feedback; None when none was read.
        windows_compared: Number of windows since the champion's promotion that its performance is compared with, in addition to the promotion.
    """

    drift: DriftResult
    performance: PerformanceResult
    baseline: Baseline | None
    mode: str
    window_end: str
    history: tuple[PastDecision, ...] = ()
    validation: str = "passed"
    event: str = "none"
    rollout_under_way: bool = False
    feedback: Feedback | None = None
    windows_compared: int = 0

    @property
    def fit_end(self) -> str:
        """Event time up to which the champion has seen rows; empty if there is none or the time is unknown."""
        return self.baseline.fit_end if self.baseline else ""
