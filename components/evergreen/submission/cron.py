"""Cron expressions of schedules; see `evergreen.ingestion.cron`."""

from __future__ import annotations

from evergreen.ingestion import cron
from evergreen.ingestion.cron import Cron
from evergreen.submission.errors import SubmissionError

__all__ = ["Cron", "parse_cron"]


def parse_cron(text: str) -> Cron:
    """Parse a cron expression with five fields (as in a crontab) or six (seconds first).

    Raises:
        SubmissionError: The number of fields is wrong, a field is invalid, KFP would interpret it differently, or it never fires.
    """
    return cron.parse_cron(text, error=SubmissionError)
