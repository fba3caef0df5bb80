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
"""How many usual changes from window to window the end has to be lower. Where nothing changes, the mean of three windows falls short of the highest mean
of five by about one, because that one is the highest of many, and hardly ever by three."""


@dataclass(frozen=True)
class Ending:
    """The end of a replay.

    Attributes:
        degraded: Whether the model in use at the end is degraded.
        score: Mean score in the last three scored windows; None if there are too few windows to judge.
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
        return f"ends degraded: {self.score:.4f} in the last {LAST_WINDOWS} windows, {self.level:.4f} {self.compared_with}"


def ending(made: Replay, replays: Sequence[Replay]) -> Ending:
    """Return how a replay ends.

    It ends degraded if the mean of its last three scored windows is below its own earlier level (the highest mean of five windows in a row), or below
    that of always in the same windows, by more than three times the usual change of its score from window to window (the median over the replay).

    Args:
        made: The replay.
        replays: All replays of the same history; always is one of the two yardsticks if it is among them.
    """
    scores = _scores(made)
    if len(scores) <= LAST_WINDOWS:
        return Ending(degraded=False)
    now, earlier = float(np.mean(scores[-LAST_WINDOWS:])), scores[:-LAST_WINDOWS]
    length = min(LEVEL_WINDOWS, len(earlier))
    levels = [(float(np.convolve(earlier, np.ones(length) / length, "valid").max()), "at its best before")]
    always = next((other for other in replays if other.name == ALWAYS and other is not made), None)
    if always is not None and len(_scores(always)) > LAST_WINDOWS:
        levels.append((float(np.mean(_scores(always)[-LAST_WINDOWS:])), "when retraining every window"))
    level, compared_with = max(levels)
    needed = USUAL_CHANGES * float(np.median(np.abs(np.diff(scores))))
    return Ending(now < level - needed, now, level, compared_with, needed)


def _scores(made: Replay) -> list[float]:
    return [window.metric for window in made.scored if window.metric is not None]
