"""Parts of the holdout on which the challenger must not be worse, with a correction for looking at many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.evaluation.checks import Check
from evergreen.evaluation.errors import EvaluationError
from evergreen.scoring import Predictions, ScoringError, bootstrap_interval, paired_bootstrap

if TYPE_CHECKING:
    from evergreen.evaluation.gate import GateSettings
    from evergreen.evaluation.gate_config import GateConfig, SliceRule
    from evergreen.scoring import Metric

MOST_VALUES = 20
QUANTILES = 4


@dataclass(frozen=True)
class Slice:
    """One part of the rows: its name, which rows belong to it, and the margin."""

    name: str
    member: np.ndarray[Any, Any]
    margin: float


@dataclass(frozen=True)
class SliceScore:
    """How the models did on a slice; ``difference`` is challenger minus champion, or the challenger's own score without a champion."""

    name: str
    rows: int
    margin: float
    verdict: str
    score: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None


def find_slices(frame: pd.DataFrame, config: GateConfig, *, setting: str = "gate.slices") -> list[Slice]:
    """Return the slices that the configuration asks for.

    Args:
        frame: The rows compared.
        config: The gate's configuration.
        setting: Where the policy names them, for messages.

    Raises:
        EvaluationError: A column is absent, or an expression cannot be evaluated or gives no truth values.
    """
    found: list[Slice] = []
    for rule in config.slices:
        margin = config.slice_margin if rule.margin is None else rule.margin
        try:
            parts = list(_by_expression(frame, rule) if rule.where else _by_column(frame, rule.column))
        except EvaluationError as error:
            raise EvaluationError(f"policy_config: {setting}: {error}") from error
        found.extend(Slice(name, member, margin) for name, member in parts)
    return found


def _by_expression(frame: pd.DataFrame, rule: SliceRule) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if "@" in rule.where or "__" in rule.where:
        raise EvaluationError(f"{rule.where!r} holds '@' or '__', which reach outside the table. Compare columns with values only.")
    try:
        # numexpr is not needed; the Python engine takes texts and missing values too.
        member = np.asarray(frame.eval(rule.where, engine="python"))
    except Exception as error:
        columns = ", ".join(map(str, frame.columns))
        raise EvaluationError(f"{rule.where!r} cannot be evaluated: {error}. Write a condition on the columns {columns}.") from error
    if member.dtype != bool or member.shape != (len(frame),):
        raise EvaluationError(f"{rule.where!r} gives {member.dtype} values; expected true or false for each row. Write a condition such as 'x > 3'.")
    yield rule.where, member


def _by_column(frame: pd.DataFrame, name: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if name not in frame.columns:
        raise EvaluationError(f"column {name!r}: there is no such column; the columns are {', '.join(map(str, frame.columns))}.")
    column = frame[name]
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype) and column.nunique() > MOST_VALUES:
        for part in (cut := pd.qcut(column, QUANTILES, duplicates="drop")).cat.categories:
            yield f"{name} {part.left} to {part.right}", (cut == part).to_numpy()
        if column.isna().any():
            yield f"{name} = missing", column.isna().to_numpy()
        return
    values = column.astype(str).where(column.notna(), "missing")
    for value in values.value_counts().index[:MOST_VALUES]:
        yield f"{name} = {value}", (values == value).to_numpy()


def score_slices(
    slices: list[Slice], ours: Predictions, theirs: Predictions | None, *, metric: Metric, settings: GateSettings, minimum_rows: int
) -> list[SliceScore]:
    """Score both models on each slice; intervals are Bonferroni-corrected for the number of slices that are judged.

    A slice fails when the challenger is worse by more than the margin and the corrected interval of the difference is
    below zero: both large enough to matter and shown.

    Args:
        slices: The slices.
        ours: The challenger's predictions.
        theirs: The champion's; None when there is none.
        metric: The first metric.
        settings: Confidence, resamples and seed.
        minimum_rows: Fewest rows of a slice that is judged.
    """
    judged = sum(int(part.member.sum()) >= minimum_rows for part in slices)
    confidence = 1 - (1 - settings.confidence) / max(judged, 1)
    # The corrected tail must hold some resamples, or the bound is the luck of the outermost draw.
    resamples = max(settings.resamples, min(20_000, int(np.ceil(40 / (1 - confidence)))))
    return [_score(part, ours, theirs, metric=metric, draws=(confidence, resamples, settings.seed), minimum_rows=minimum_rows) for part in slices]


def _score(part: Slice, ours: Predictions, theirs: Predictions | None, *, metric: Metric, draws: tuple[float, int, int], minimum_rows: int) -> SliceScore:
    rows = int(part.member.sum())
    confidence, resamples, seed = draws
    if rows < minimum_rows:
        return SliceScore(part.name, rows, part.margin, "too few rows")
    mine = rows_of(ours, part.member)
    try:
        if theirs is None:
            alone = bootstrap_interval(metric, mine, confidence=confidence, resamples=resamples, seed=seed)
            return SliceScore(part.name, rows, part.margin, "no champion", alone.score, alone.score, alone.lower, alone.upper)
        found = paired_bootstrap(metric, mine, rows_of(theirs, part.member), confidence=confidence, resamples=resamples, seed=seed)
        verdict = "worse" if found.score < -part.margin and found.upper < 0 else "not worse"
        return SliceScore(part.name, rows, part.margin, verdict, metric.score_rows(mine), found.score, found.lower, found.upper)
    except ScoringError:
        return SliceScore(part.name, rows, part.margin, "metric not defined")


def rows_of(predictions: Predictions, member: np.ndarray[Any, Any]) -> Predictions:
    """Return the predictions for some of the rows."""
    probabilities = None if predictions.probabilities is None else predictions.probabilities[member]
    return Predictions(predictions.labels[member], predictions.predicted[member], probabilities, predictions.classes)


def check_slices(scores: list[SliceScore]) -> list[Check]:
    """Return one check over all slices: failed when the challenger is shown worse on any."""
    if not scores:
        return []
    worse = [item for item in scores if item.verdict == "worse"]
    judged = sum(item.verdict in ("worse", "not worse") for item in scores)
    if not worse:
        return [Check("slices", "passed", f"On none of {judged} slices is the challenger shown to be worse by more than the margin ({len(scores)} looked at).")]
    named = "; ".join(f"{item.name} ({item.rows} rows): {item.difference:.4g}, interval {item.lower:.4g} to {item.upper:.4g}" for item in worse)
    return [Check("slices", "failed", f"The challenger is worse by more than the margin on {len(worse)} of {judged} slices: {named}.")]
