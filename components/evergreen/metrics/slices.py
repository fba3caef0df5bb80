"""Slices of the rows that are scored separately, with a correction for multiple comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.metrics.predictions import Predictions, ScoringError, rows_of
from evergreen.metrics.scoring import bootstrap_interval, paired_bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.errors import EvergreenError
    from evergreen.metrics.scoring import Metric
    from evergreen.metrics.slice_rule import SliceRule

MOST_VALUES = 20
QUANTILES = 4


class _UnusableRuleError(ValueError):
    """A rule does not fit the rows."""


@dataclass(frozen=True)
class Draws:
    """Settings of the bootstrap intervals.

    Attributes:
        confidence: Confidence of the interval, between 0 and 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
    """

    confidence: float = 0.95
    resamples: int = 2_000
    seed: int = 0


@dataclass(frozen=True)
class Slice:
    """A slice of the rows: its name, its rows, and its margin."""

    name: str
    member: np.ndarray[Any, Any]
    margin: float


@dataclass(frozen=True)
class SliceScore:
    """Scores of the models on a slice; ``difference`` is challenger minus champion, or the challenger's score if there is no champion."""

    name: str
    rows: int
    margin: float
    verdict: str
    score: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None


def find_slices(frame: pd.DataFrame, rules: Sequence[SliceRule], *, margin: float, setting: str, error_class: type[EvergreenError]) -> list[Slice]:
    """Return the slices that the rules define.

    Args:
        frame: The rows to slice.
        rules: The rules.
        margin: Margin of rules that do not set one, in units of the metric.
        setting: The policy setting that contains the rules, for error messages.
        error_class: The exception type to raise.

    Raises:
        EvergreenError: A column is missing, or an expression cannot be evaluated or does not return booleans.
    """
    found: list[Slice] = []
    for rule in rules:
        try:
            parts = list(_by_expression(frame, rule) if rule.where else _by_column(frame, rule.column))
        except _UnusableRuleError as error:
            raise error_class(f"policy_config: {setting}: {error}") from error
        found.extend(Slice(name, member, margin if rule.margin is None else rule.margin) for name, member in parts)
    return found


def _by_expression(frame: pd.DataFrame, rule: SliceRule) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if "@" in rule.where or "__" in rule.where:
        raise _UnusableRuleError(f"{rule.where!r} contains '@' or '__', which access objects outside the table. Only compare columns with values.")
    try:
        # The Python engine does not need numexpr, and supports text and missing values.
        member = np.asarray(frame.eval(rule.where, engine="python"))
    except Exception as error:
        columns = ", ".join(map(str, frame.columns))
        raise _UnusableRuleError(f"{rule.where!r} cannot be evaluated: {error}. Write a condition on the columns {columns}.") from error
    if member.dtype != bool or member.shape != (len(frame),):
        raise _UnusableRuleError(f"{rule.where!r} returns {member.dtype} values; expected true or false for each row. Write a condition such as 'x > 3'.")
    yield rule.where, member


def _by_column(frame: pd.DataFrame, name: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if name not in frame.columns:
        raise _UnusableRuleError(f"Unknown column {name!r}. Valid columns: {', '.join(map(str, frame.columns))}.")
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


def score_slices(slices: list[Slice], ours: Predictions, theirs: Predictions | None, *, metric: Metric, draws: Draws, minimum_rows: int) -> list[SliceScore]:
    """Score both models on each slice, with intervals Bonferroni-corrected for the number of slices judged.

    A slice fails if the challenger is worse by more than the margin and the corrected interval of the difference is
    below zero: the difference is both large enough to matter and significant.

    Args:
        slices: The slices.
        ours: The challenger's predictions.
        theirs: The champion's predictions; None if there is no champion.
        metric: The primary metric.
        draws: Confidence, resamples and seed.
        minimum_rows: Minimum number of rows of a slice to be judged.
    """
    judged = sum(int(part.member.sum()) >= minimum_rows for part in slices)
    corrected = 1 - (1 - draws.confidence) / max(judged, 1)
    # The corrected tail must contain several resamples; otherwise the bound depends on a single extreme draw.
    resamples = max(draws.resamples, min(20_000, int(np.ceil(40 / (1 - corrected)))))
    used = Draws(corrected, resamples, draws.seed)
    return [_score(part, ours, theirs, metric=metric, draws=used, minimum_rows=minimum_rows) for part in slices]


def _score(part: Slice, ours: Predictions, theirs: Predictions | None, *, metric: Metric, draws: Draws, minimum_rows: int) -> SliceScore:
    rows = int(part.member.sum())
    if rows < minimum_rows:
        return SliceScore(part.name, rows, part.margin, "too few rows")
    mine = rows_of(ours, part.member)
    try:
        if theirs is None:
            alone = bootstrap_interval(metric, mine, confidence=draws.confidence, resamples=draws.resamples, seed=draws.seed)
            return SliceScore(part.name, rows, part.margin, "no champion", alone.score, alone.score, alone.lower, alone.upper)
        found = paired_bootstrap(metric, mine, rows_of(theirs, part.member), confidence=draws.confidence, resamples=draws.resamples, seed=draws.seed)
        verdict = "worse" if found.score < -part.margin and found.upper < 0 else "not worse"
        return SliceScore(part.name, rows, part.margin, verdict, metric.score_rows(mine), found.score, found.lower, found.upper)
    except ScoringError:
        return SliceScore(part.name, rows, part.margin, "metric not defined")
