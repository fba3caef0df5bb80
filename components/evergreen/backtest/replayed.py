"""What a replay of a policy found: the result of each window, and figures of all of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

NEVER, ALWAYS = "never", "always"
FIXED, INFORMED = "best fixed window", "since every change"
HINDSIGHT = (FIXED, INFORMED)
"""Policies that know what no policy can know when it decides; they are bounds only."""
BOUNDS = (NEVER, ALWAYS, *HINDSIGHT)
"""Policies that the others are compared with, in the order in which they are shown."""


@dataclass(frozen=True)
class WindowResult:
    """The result of a window.

    Attributes:
        start: Start of the window, ISO, UTC.
        end: End of the window, ISO, UTC.
        rows: Number of labelled rows.
        metric: Score of the model in use; None if undefined.
        retrained: Whether a challenger was trained after the window.
        promoted: Whether that challenger was promoted.
        rule: The rule that decided; the policy's own name for ``never`` and ``always``.
        reason: The first reason of the decision.
    """

    start: str
    end: str
    rows: int
    metric: float | None
    retrained: bool
    promoted: bool
    rule: str
    reason: str = ""


@dataclass(frozen=True)
class Replay:
    """The replay of a policy over history.

    Attributes:
        name: Name of the policy.
        windows: The result of each window, oldest first.
        seconds: Computing time in seconds.
        metric: Name of the metric; higher is better.
        training_window_days: Length of the training window in days that was best in hindsight; None for every other policy.
    """

    name: str
    windows: list[WindowResult]
    seconds: float
    metric: str
    training_window_days: int | None = None

    @property
    def scored(self) -> list[WindowResult]:
        """The windows with a score."""
        return [window for window in self.windows if window.metric is not None]

    @property
    def mean_metric(self) -> float | None:
        """Mean score over the windows."""
        return fmean(window.metric for window in self.scored if window.metric is not None) if self.scored else None

    @property
    def worst(self) -> WindowResult | None:
        """The window with the lowest score."""
        return min(self.scored, key=lambda window: window.metric or 0.0) if self.scored else None

    @property
    def retrains(self) -> int:
        """Number of trained challengers."""
        return sum(window.retrained for window in self.windows)

    @property
    def promotions(self) -> int:
        """Number of promoted challengers."""
        return sum(window.promoted for window in self.windows)

    def as_json(self) -> dict[str, Any]:
        """Return the replay as plain JSON values."""
        worst = self.worst
        return {
            "name": self.name,
            "metric": self.metric,
            "hindsight": self.name in HINDSIGHT,
            "training_window_days": self.training_window_days,
            "mean_metric": self.mean_metric,
            "retrains": self.retrains,
            "promotions": self.promotions,
            "worst_window": worst.metric if worst else None,
            "worst_window_start": worst.start if worst else None,
            "seconds": round(self.seconds, 3),
            "windows": [asdict(window) for window in self.windows],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Replay:
        """Read a replay from the output of `as_json`."""
        windows = [WindowResult(**window) for window in content["windows"]]
        return cls(content["name"], windows, content["seconds"], content["metric"], content.get("training_window_days"))


def in_order(replays: list[Replay]) -> list[Replay]:
    """Return the replays as they are shown: the bounds first, then the policies in their order."""
    return sorted(replays, key=lambda made: BOUNDS.index(made.name) if made.name in BOUNDS else len(BOUNDS))
