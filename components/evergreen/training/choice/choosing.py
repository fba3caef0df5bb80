"""Chooses what a challenger learns from, by validation on newer rows, forward in time.

After the relation between inputs and label has changed, older rows teach a model what no longer holds, and how many of them do is unknown. So
the recipe is fitted on several training windows, with and without weights that fade with age, and the newest rows decide (blocked forward
validation: Tashman, International Journal of Forecasting 16, 2000; Bergmeir and Benitez, Information Sciences 191, 2012).

The newest rows are divided into three blocks of equal size. The first choice is made on the first block and predicts the second; the second choice
is made on the first two and predicts the third, the holdout. The gate pools both predictions. Neither of them was made by a model that was chosen or
fitted on the rows it predicts, so the comparison with the champion is fair, and covers twice as many rows as a single holdout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.times import iso_time
from evergreen.metrics.change_point import FEWEST_ROWS_APART, latest_fall
from evergreen.metrics.predictions import ScoringError
from evergreen.results.candidates import Candidate, CandidateChoice
from evergreen.training.choice.blocks import Blocks, divide, first_of_its_time
from evergreen.training.choice.candidates import ChoiceRows, FormerChampion, constant_baseline, trained_contenders
from evergreen.training.choice.rounds import AnyContender, Round, play
from evergreen.training.errors import TrainingError
from evergreen.training.fit import accepts_weights
from evergreen.training.holdout import FEWEST_FIT_ROWS
from evergreen.training.training_rows import feature_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from evergreen.metrics.predictions import Predictions
    from evergreen.metrics.scoring import Metric
    from evergreen.models.fitted import FittedModel
    from evergreen.training.recipe import Recipe
    from evergreen.training.training_rows import TrainingRows

WINDOWS_IN_BLOCKS = (2, 4, 8)
"""Lengths, in blocks, of the training windows that are tried whatever is known about a change."""
WEIGHTED_WINDOWS = 2
"""The longest training windows are tried with weights that fade with age, too; in short ones, all rows are about equally old."""
LEAST_DIFFERENCE = 0.25


@dataclass(frozen=True)
class ChoiceRequest:
    """What to choose among.

    Attributes:
        rows: All labelled rows, oldest first.
        recipe: The recipe of the challenger.
        classes: The classes; empty for regression.
        metric: The metric by which candidates are compared.
        champion: The champion.
        former: Former champions, newest first.
        changed_at: Event time since which the champion's errors are known to differ, ISO; empty if unknown.
        allow_baseline: Whether the constant baseline is a candidate.
        holdout_share: Share of all rows that the two newest blocks hold at most.
    """

    rows: TrainingRows
    recipe: Recipe
    classes: list[Any]
    metric: Metric
    champion: FittedModel
    former: Sequence[FormerChampion] = ()
    changed_at: str = ""
    allow_baseline: bool = False
    holdout_share: float = 0.2


@dataclass(frozen=True)
class Choice:
    """The chosen contender, and the predictions made on the way to it.

    Attributes:
        contender: The chosen one.
        blocks: The blocks of the newest rows.
        forward: Predictions for the rows from ``blocks.validation`` up to ``blocks.holdout``, by the contender that was the choice before they were
            known; None if there was no choice yet.
        told: The choice in plain values, for records and reports.
    """

    contender: AnyContender
    blocks: Blocks
    forward: Predictions | None
    told: CandidateChoice


def choose(request: ChoiceRequest) -> Choice | None:
    """Choose among training windows, former champions and the constant baseline; None if there are too few new rows to choose on.

    Raises:
        TrainingError: No candidate can be fitted.
    """
    rows, context = request.rows, ChoiceRows(request.rows, feature_kinds(request.rows.frame, request.rows.feature_names), request.classes)
    unseen = len(rows.times) - _position(rows, request.champion.description.fit_end)
    change = find_change(request, context, unseen)
    # Without a change among the new rows, the relation is the same in all of them, whatever it was before.
    since = len(rows.times) - change if change is not None else unseen
    blocks = divide(rows.times, since=since, unseen=unseen, holdout_share=request.holdout_share)
    if blocks is None:
        return None
    contenders = _contenders(request, blocks, change, unseen)
    first = play(contenders, context, request.metric, known=blocks.choice, first=blocks.choice, before=blocks.validation)
    second = play(first.remaining(contenders), context, request.metric, known=blocks.validation, first=blocks.validation, before=blocks.holdout, earlier=first)
    if second.best is None:
        notes = "; ".join(f"{name}: {note}" for name, note in {**first.notes, **second.notes}.items())
        raise TrainingError(f"None of the candidates can be fitted and scored on the newest rows. {notes} Increase training_window_days.")
    told = _tell(request, context, contenders, (first, second), blocks)
    changed_at = iso_time(rows.times.iloc[change]) if change is not None else ""
    told = replace(told, changed_at=changed_at, rows_since_change=since if change is not None else 0, next_look_rows=2 * since if change is not None else None)
    # Without a first choice, nothing was predicted in advance: whatever is chosen now has been chosen on that block.
    forward = second.predictions.get(first.best.name) if first.best is not None else None
    return Choice(second.best, blocks, forward, told)


def find_change(request: ChoiceRequest, context: ChoiceRows, unseen: int) -> int | None:
    """Return the position of the first row after the latest change of the champion's errors, or None if none is known.

    Only rows that the champion has not seen count, because its errors on the others are smaller. A change before them may be known from an earlier
    decision.
    """
    rows = request.rows
    found = _latest_fall(request, context, unseen) if unseen else None
    if found is not None:
        return found
    if not request.changed_at:
        return None
    known = _position(rows, request.changed_at)
    return known if FEWEST_ROWS_APART <= known < len(rows.times) else None


def _latest_fall(request: ChoiceRequest, context: ChoiceRows, unseen: int) -> int | None:
    rows = len(request.rows.times)
    try:
        found = latest_fall(request.metric, context.predictions(request.champion, rows - unseen, rows), seed=request.recipe.seed)
    except ScoringError:
        return None
    return None if found is None else rows - unseen + found


def _position(rows: TrainingRows, time: str) -> int:
    return int(rows.times.searchsorted(_moment(time), side="left"))


def _moment(time: str) -> pd.Timestamp:
    import pandas as pd

    found = pd.Timestamp(time)
    return found.tz_localize("UTC") if found.tz is None else found


def _contenders(request: ChoiceRequest, blocks: Blocks, change: int | None, unseen: int) -> list[AnyContender]:
    rows, block = request.rows, blocks.rows - blocks.holdout
    began = change if change is not None else blocks.rows - unseen
    # In order of importance: of two windows of about the same length, the first one is fitted.
    wanted = [0, began, _position(rows, request.champion.description.fit_start), *(blocks.validation - block * times for times in WINDOWS_IN_BLOCKS)]
    # A model is fitted again by time, so rows of one time are never separated.
    whole = [first_of_its_time(rows.times, start) for start in wanted if 0 <= start <= blocks.validation - FEWEST_FIT_ROWS]
    starts = _apart(whole, blocks.validation)
    own = request.recipe.options.get("recency_half_life_days")
    found: list[AnyContender] = [*trained_contenders(request.recipe, rows, starts=starts, half_lives=[own], before=blocks.validation)]
    if own is None:
        weighted = sorted(starts)[:WEIGHTED_WINDOWS]
        found += trained_contenders(request.recipe, rows, starts=weighted, half_lives=_half_lives(request, blocks), before=blocks.validation)
    if request.allow_baseline:
        found.append(constant_baseline(request.recipe, max(starts, default=0)))
    return [*found, *request.former]


def _apart(starts: Sequence[int], before: int) -> list[int]:
    """Return the starts whose windows differ in length by at least a quarter from those named before them."""
    found: list[int] = []
    for start in starts:
        length = before - start
        if all(abs(length - (before - other)) >= LEAST_DIFFERENCE * max(length, before - other) for other in found):
            found.append(start)
    return found


def _half_lives(request: ChoiceRequest, blocks: Blocks) -> list[float]:
    """Return the half-life of the weights that are tried: as long as the rows of two blocks; none if the estimator takes no weights."""
    if not accepts_weights(request.recipe):
        return []
    span = (request.rows.times.iloc[-1] - request.rows.times.iloc[blocks.validation]).total_seconds() / 86_400
    return [float(f"{span:.2g}")] if span > 0 else []


def _tell(request: ChoiceRequest, context: ChoiceRows, contenders: Sequence[AnyContender], rounds: tuple[Round, Round], blocks: Blocks) -> CandidateChoice:
    first, second = rounds
    start = blocks.choice if second.pooled else blocks.validation
    champion = _champion_score(request, context, start, blocks.holdout)
    notes = {**first.notes, **second.notes}
    told = []
    for contender in contenders:
        score = second.scores.get(contender.name)
        gain = None if score is None or champion is None else score - champion
        note = "" if contender is second.best else notes.get(contender.name, "scored lower")
        told.append(replace(contender.described(context, blocks.validation), score=score, gain=gain, note=note))
    chosen = next(item for item in told if not item.note)
    return CandidateChoice(
        chosen,
        told,
        request.metric.name,
        champion,
        blocks.holdout - start,
        iso_time(request.rows.times.iloc[start]),
        sentence=_sentence(chosen, told, champion, blocks.holdout - start, request.metric.name),
    )


def _champion_score(request: ChoiceRequest, context: ChoiceRows, first: int, before: int) -> float | None:
    try:
        return request.metric.score_rows(context.predictions(request.champion, first, before))
    except ScoringError:
        return None


def _sentence(chosen: Candidate, told: list[Candidate], champion: float | None, rows: int, metric: str) -> str:
    others = [item for item in told if item is not chosen and item.score is not None]
    best = max(others, key=lambda item: item.score or 0.0, default=None)
    said = f"Chosen among {len(told)} candidates on {rows} newer rows: {chosen.name}, "
    if chosen.score is None:
        return f"{said}by the errors of single rows, because {metric} is not defined on these rows."
    said += f"with {metric} {chosen.score:.3g}"
    if best is not None:
        # Errors of single rows decide, and a longer window is preferred to one that is about as good; a score may say otherwise.
        why = ", but its errors are not clearly smaller" if (best.score or 0.0) > chosen.score else ""
        said += f"; {best.name} scores {best.score or 0.0:.3g}{why}"
    return f"{said}; the champion: {champion:.3g}." if champion is not None else f"{said}."
