"""One round of a choice: candidates are fitted on the rows before a block, and scored on the block.

The errors of single rows decide (log loss, or the absolute residual), because their mean is far less noisy on a few hundred rows than most metrics;
the metric itself is what the gate compares on.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.prediction_errors import error_sizes
from evergreen.metrics.predictions import Predictions, ScoringError, join_predictions
from evergreen.training.choice.candidates import TOO_FEW, ChoiceRows, FormerChampion, TrainedContender
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evergreen.metrics.scoring import Metric

CLEARLY_WORSE = 2.0
"""Standard errors of the mean difference in error at which a candidate is left out of the second round."""
BETTER_ANYWAY = 1.0
"""Standard errors by which a candidate that had too few rows in the first round must be better than the best of both rounds."""
ABOUT_AS_GOOD = 0.5
"""Standard errors within which a longer training window is preferred to the best one."""
MOST_IN_SECOND = 3
WORSE_IN_A_ROW = 2
"""The shortest training windows cost least and come first; after this many that are clearly worse, longer ones are not fitted."""

AnyContender = TrainedContender | FormerChampion


@dataclass
class Round:
    """The scores of a round.

    Attributes:
        predictions: Predictions for the block, by contender's name.
        scores: Score by contender's name, for people; without those for which the metric is not defined.
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
        """Return the contenders for the next round: up to three of those that are not clearly worse than the best.

        One that had too few rows takes part, because it has more now.
        """
        if self.best is None:
            return list(contenders)
        errors = {name: error_sizes(said) for name, said in self.predictions.items()}
        ranked = sorted(errors, key=lambda name: float(errors[name].mean()))
        for place, name in enumerate(ranked):
            if place >= MOST_IN_SECOND or _worse(errors[name], errors[self.best.name], CLEARLY_WORSE):
                self.notes[name] = "scored lower on the first block"
        return [one for one in contenders if one.name not in self.notes or (one.name not in errors and TOO_FEW in self.notes[one.name])]


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
        except (TrainingError, ScoringError) as error:
            found.notes[contender.name] = str(error)
            continue
        found.predictions[contender.name] = said
        errors = error_sizes(said)
        if errors.mean() < least:
            found.best, worse, least = contender, 0, float(errors.mean())
        elif found.best is not None and _worse(errors, error_sizes(found.predictions[found.best.name]), CLEARLY_WORSE):
            worse += 1
    found.scores = _scores(found.predictions, metric)
    if earlier is not None and any(name in earlier.predictions for name in found.predictions):
        _pool(found, earlier, contenders, metric)
    return found


def _pool(found: Round, earlier: Round, contenders: Sequence[AnyContender], metric: Metric) -> None:
    """Judge by both blocks; a contender without predictions for the first block is chosen only if it is clearly better on the second."""
    both = {name: join_predictions(earlier.predictions[name], said) for name, said in found.predictions.items() if name in earlier.predictions}
    best = min(both, key=lambda name: float(error_sizes(both[name]).mean()))
    errors = {name: error_sizes(said) for name, said in found.predictions.items()}
    for name in errors.keys() - both.keys():
        if _worse(errors[best], errors[name], BETTER_ANYWAY):
            best = name
    best = _longest_alike(best, {name: error_sizes(said) for name, said in both.items()}, contenders)
    found.best = next(contender for contender in contenders if contender.name == best)
    # Scores for people: on the same rows for all where that is possible.
    found.pooled = len(both) == len(found.predictions)
    if found.pooled:
        found.scores = _scores(both, metric)


def _longest_alike(best: str, errors: Mapping[str, np.ndarray[Any, Any]], contenders: Sequence[AnyContender]) -> str:
    """Return the longest training window that is about as good as the best: what two scores do not tell apart, more rows usually do."""
    windows = [one for one in contenders if isinstance(one, TrainedContender) and one.origin == "trained"]
    if best not in errors or best not in [one.name for one in windows]:
        return best
    alike = [one for one in windows if one.name in errors and (one.name == best or not _worse(errors[one.name], errors[best], ABOUT_AS_GOOD))]
    return min(alike, key=lambda one: (one.first_row, one.half_life_days is not None, one.name != best)).name


def _scores(predictions: Mapping[str, Predictions], metric: Metric) -> dict[str, float]:
    """Return the scores for people, without those that are not defined: a small block may hold one class only, and the errors decide without them."""
    scores = {}
    for name, said in predictions.items():
        with contextlib.suppress(ScoringError):
            scores[name] = metric.score_rows(said)
    return scores


def _worse(errors: np.ndarray[Any, Any], best: np.ndarray[Any, Any], standard_errors: float) -> bool:
    difference = errors - best
    error = difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > standard_errors * error > 0)
