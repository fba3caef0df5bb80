"""Whether a history ends with a degraded model: judged by the scores themselves, without hindsight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evergreen.backtest.replayed import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.backtest.replayed import Replay

LAST_WINDOWS = 3
LEVEL_WINDOWS = 5
USUAL_CHANGES = 3.0
"""How many usual changes from window to window the end has to be lower. Where nothing changes, the last windows fall short of the highest mean of five by
about one, because that is the highest of many, and hardly ever by three."""


@dataclass(frozen=True)
class Ending:
    """The end of a replay.

    Attributes:
        degraded: Whether the model in use at the end is degraded.
        score: Its score there: that of the last scored window or the median of the last three, whichever is higher; None if there are too few windows.
        level: The higher of the two scores it is compared with.
        compared_with: What that is, for a person.
        needed: By how much the score has to be lower.
    """

    degraded: bool
    score: float | None = None
    level: float | None = None
    compared_with: str = ""
    needed: float | None = None

    @property
    def sentence(self) -> str:
        """The end of a degraded replay in a few words; empty for any other."""
        if not self.degraded:
            return ""
        return f"ends degraded: {self.score:.4f} at the end, {self.level:.4f} {self.compared_with}"


def ending(made: Replay, replays: Sequence[Replay]) -> Ending:
    """Return how a replay ends.

    It ends degraded if its last scored window and the median of the last three are below its own earlier level (the highest mean of five windows in a
    row), or below those of always, by more than three times the usual change of its score from window to window (the median over the replay). So
    neither a bad window among the last nor one in which a repair has just been made counts.

    Args:
        made: The replay.
        replays: All replays of the same history; always is one of the two yardsticks if it is among them.
    """
    scores = _scores(made)
    if len(scores) <= LAST_WINDOWS:
        return Ending(degraded=False)
    now, earlier = _at_the_end(scores), scores[:-LAST_WINDOWS]
    length = min(LEVEL_WINDOWS, len(earlier))
    levels = [(float(np.convolve(earlier, np.ones(length) / length, "valid").max()), "at its best before")]
    always = next((other for other in replays if other.name == ALWAYS and other is not made), None)
    if always is not None and len(_scores(always)) > LAST_WINDOWS:
        levels.append((_at_the_end(_scores(always)), "when retraining every window"))
    level, compared_with = max(levels)
    needed = USUAL_CHANGES * float(np.median(np.abs(np.diff(scores))))
    return Ending(now < level - needed, now, level, compared_with, needed)


def _at_the_end(scores: list[float]) -> float:
    return max(scores[-1], float(np.median(scores[-LAST_WINDOWS:])))


def _scores(made: Replay) -> list[float]:
    return [window.metric for window in made.scored if window.metric is not None]
