"""Where a challenger comes from, and how its predictions came about, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.page import Section, Table
from evergreen.reporting.repair_times import day_of

if TYPE_CHECKING:
    from evergreen.data.artifacts import ModelDescription
    from evergreen.results.candidates import Candidate, CandidateChoice
    from evergreen.results.evaluation import Evaluation

CHOSEN = "chosen"


def origin_words(model: Evaluation | ModelDescription) -> str:
    """Return where a model comes from: ``former champion, version 3``, ``constant baseline`` or ``trained``."""
    return f"{model.origin}, version {model.former_version}" if model.former_version else model.origin


def scores_sentence(evaluation: Evaluation) -> str:
    """Return the scores of champion and challenger in one sentence; empty if one of them was not scored."""
    if evaluation.champion_score is None or evaluation.challenger_score is None:
        return ""
    return (
        f"On the same {evaluation.rows:,} rows, the champion scores {evaluation.champion_score:.3g} in {evaluation.metric} and the challenger "
        f"{evaluation.challenger_score:.3g}."
    )


def pooled_sentence(evaluation: Evaluation) -> str:
    """Return one sentence on predictions of several blocks of rows that were pooled; empty for a single holdout."""
    if evaluation.folds < 2:
        return ""
    return (
        f"The {evaluation.rows:,} rows are {evaluation.folds} consecutive blocks, whose predictions were pooled (repeated forward validation): each block was "
        "predicted by a model that was chosen and fitted before its labels were used."
    )


def choice_section(choice: CandidateChoice) -> Section:
    """Return a section on what a challenger learns from, and on the candidates that it was chosen among."""
    paragraphs = [choice.sentence] if choice.sentence else []
    if choice.changed_at:
        come = f"{choice.rows_since_change:,} labelled rows have come since then"
        paragraphs.append(f"The champion's errors changed around {day_of(choice.changed_at)}, as estimated from all rows that are new to it; {come}.")
    rows = [(_name(item), item.rows or None, item.score, item.gain, CHOSEN if item == choice.chosen else item.note or None) for item in choice.candidates]
    since = f", from {day_of(choice.validation_start)} on" if choice.validation_start else ""
    scored = f"Scores are {choice.metric} on {choice.validation_rows:,} newer rows{since}; higher is better."
    compared = "" if choice.champion_score is None else f" The champion scores {choice.champion_score:.4g} on them, and the gain is the difference."
    table = Table(["Candidate", "Rows", "Score", "Gain", "Result"], rows, note=f"{scored}{compared}")
    return Section("What the challenger learns from", paragraphs, table=table)


def _name(candidate: Candidate) -> str:
    return candidate.name if candidate.origin in ("trained", candidate.name) else f"{candidate.origin}, {candidate.name}"
