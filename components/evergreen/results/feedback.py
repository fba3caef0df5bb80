"""The result of read_feedback."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from evergreen.results.reading import JsonResult


@dataclass(frozen=True)
class FeedbackSource:
    """Feedback from one source.

    Attributes:
        source: Name of the source.
        rows: Number of feedback items.
        negative: Number of negative items; a score counts as a fraction.
    """

    source: str
    rows: int
    negative: float


@dataclass(frozen=True)
class Feedback(JsonResult):
    """The feedback in a window; its fields are those of the feedback artifact.

    Attributes:
        present: Whether there was any feedback.
        sentence: Summary in one sentence.
        window_start: Start of the window, ISO, UTC.
        window_end: End of the window, ISO, UTC.
        rows: Number of feedback items.
        negative: Number of negative items; a score counts as a fraction.
        corrections: Number of corrected labels.
        sources: Feedback from each source, most active first.
    """

    written_by: ClassVar[str] = "read_feedback"

    present: bool
    sentence: str = ""
    window_start: str = ""
    window_end: str = ""
    rows: int = 0
    negative: float = 0.0
    corrections: int = 0
    sources: list[FeedbackSource] = field(default_factory=list)
