"""One round of a choice: candidates are fitted on the rows before a block, and scored on the block.

The errors of single rows decide (log loss, or the absolute residual), because their mean is far less noisy on a few hundred rows than most metrics;
the metric itself is what the gate compares on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evergreen.metrics.prediction_errors import RESIDUAL, prediction_errors
from evergreen.metrics.predictions import Predictions, ScoringError, join_predictions
from evergreen.training.choice.candidates import ChoiceRows, FormerChampion, TrainedContender
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.metrics.scoring import Metric

CLEARLY_WORSE = 2.0
"""Standard errors of the mean difference in error at which a candidate is left out of the second round."""
WORSE_IN_A_ROW = 3
"""The shortest training windows cost least and come first; after this many that are clearly worse, longer ones are not fitted."""

AnyContender = TrainedContender | FormerChampion


@dataclass
class Round:
    """The scores of a round.

    Attributes:
        predictions: Predictions for the block, by contender's name.
        scores: Score by contender's name, for people.
        notes: Why a contender was not scored or drops out, by name.
        best: The contender with the smallest mean error; None if none was scored.
        pooled: Whether scores and errors are those of this block and the one before.
    """

    predictions: dict[str, Predictions] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    best: AnyContender | None = None
    pooled: bool = False

    def remaining(self, contenders: Sequence[AnyContender]) -> list[AnyContender]:
        """Return the contenders for the next round: those that are not clearly worse than the best.

        One that had too few rows takes part, because it has more now.
        """
        if self.best is None:
            return list(contenders)
        best = _errors(self.predictions[self.best.name])
        left = []
        for contender in contenders:
            said = self.predictions.get(contender.name)
            if said is not None and _clearly_worse(_errors(said), best):
                self.notes[contender.name] = "clearly worse on the first block"
            elif said is not None or contender.name not in self.notes or "rows to fit on" in self.notes[contender.name]:
                left.append(contender)
        return left


def play(
    contenders: Sequence[AnyContender], context: ChoiceRows, metric: Metric, *, known: int, first: int, before: int, earlier: Round | None = None
) -> Round:
    """Score contenders on a block.

    Args:
        contenders: The contenders, the cheapest first.
        context: The rows.
        metric: The metric.
        known: Position of the first row that nothing may be learned from.
        first: Position of the block's first row.
        before: Position after its last row.
        earlier: The round before; a contender's predictions in both count.
    """
    found, worse, least = Round(), 0, float("inf")
    for contender in contenders:
        if worse >= WORSE_IN_A_ROW and contender.origin == "trained":
            found.notes[contender.name] = "not fitted, because several shorter training windows were clearly better"
            continue
        try:
            said = contender.predictions(context, known=known, first=first, before=before)
            score = metric.score_rows(said)
        except (TrainingError, ScoringError) as error:
            found.notes[contender.name] = str(error)
            continue
        found.predictions[contender.name], found.scores[contender.name] = said, score
        errors = _errors(said)
        if errors.mean() < least:
            found.best, worse, least = contender, 0, float(errors.mean())
        elif found.best is not None and _clearly_worse(errors, _errors(found.predictions[found.best.name])):
            worse += 1
    if earlier is not None and found.predictions and all(name in earlier.predictions for name in found.predictions):
        _pool(found, earlier, contenders, metric)
    return found


def _pool(found: Round, earlier: Round, contenders: Sequence[AnyContender], metric: Metric) -> None:
    """Judge by both blocks; only on the same rows can contenders be compared."""
    both = {name: join_predictions(earlier.predictions[name], said) for name, said in found.predictions.items()}
    found.scores = {name: metric.score_rows(said) for name, said in both.items()}
    least = min(both, key=lambda name: float(_errors(both[name]).mean()))
    found.best = next(contender for contender in contenders if contender.name == least)
    found.pooled = True


def _errors(said: Predictions) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    measure, errors = prediction_errors(said)
    return np.abs(errors) if measure == RESIDUAL else errors


def _clearly_worse(errors: np.ndarray[tuple[int], np.dtype[np.float64]], best: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    difference = errors - best
    error = difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > CLEARLY_WORSE * error > 0)
