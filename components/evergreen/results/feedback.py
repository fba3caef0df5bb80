"""What read_feedback counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from evergreen.results.reading import JsonResult


@dataclass(frozen=True)
class FeedbackSource:
    """What one source said.

    Attributes:
        source: Who said it.
        rows: Number of things said.
        negative: How many of them were bad; a score counts in part.
    """

    source: str
    rows: int
    negative: float


@dataclass(frozen=True)
class Feedback(JsonResult):
    """What was said in a window; its fields are those of the feedback artifact.

    Attributes:
        present: Whether there was any.
        sentence: The same in words.
        window_start: Start of the window, ISO, UTC.
        window_end: End of the window, ISO, UTC.
        rows: Number of things said.
        negative: How many of them were bad; a score counts in part.
        corrections: Number of corrected labels.
        sources: What each source said, the most talkative first.
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
