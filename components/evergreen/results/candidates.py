"""The candidates that a training step chose among, and its choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from evergreen.data.artifacts import Origin  # noqa: TC001 - the types of fields are read at run time
from evergreen.results.reading import JsonResult


@dataclass(frozen=True)
class Candidate:
    """A model that could become the challenger.

    Attributes:
        origin: ``trained``, ``former champion`` or ``constant baseline``.
        name: What it is, for a person: ``all rows``, ``rows since 2021-10-09``, ``version 3``.
        start: First event time that it learns from, ISO, UTC.
        half_life_days: Age in days at which a row counts half as much as the newest; None if all rows count the same.
        rows: Number of rows that it was fitted on for the choice.
        score: Its score on the validation rows; None if it could not be scored.
        gain: Its score minus the champion's on the same rows; None if one of them could not be scored.
        note: Why it was not scored or not chosen; empty for the chosen one.
    """

    origin: Origin
    name: str
    start: str = ""
    half_life_days: float | None = None
    rows: int = 0
    score: float | None = None
    gain: float | None = None
    note: str = ""


@dataclass(frozen=True)
class CandidateChoice(JsonResult):
    """What a training step chose, and among what.

    Attributes:
        chosen: The candidate that became the challenger.
        candidates: All of them, the chosen one included.
        metric: The metric they were scored by; higher is better.
        champion_score: The champion's score on the same rows; None if unknown.
        validation_rows: Number of rows they were scored on.
        validation_start: Event time of the first of these rows, ISO, UTC.
        changed_at: Event time since which the champion's errors differ, ISO, UTC; empty if no change was found.
        rows_since_change: Number of labelled rows since then.
        next_look_rows: Number of rows since the change at which the next challenger is worth its cost; None if no change was found.
        sentence: The choice in one sentence.
    """

    written_by: ClassVar[str] = "train_model"

    chosen: Candidate
    candidates: list[Candidate] = field(default_factory=list)
    metric: str = ""
    champion_score: float | None = None
    validation_rows: int = 0
    validation_start: str = ""
    changed_at: str = ""
    rows_since_change: int = 0
    next_look_rows: int | None = None
    sentence: str = ""
