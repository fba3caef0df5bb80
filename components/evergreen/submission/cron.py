"""The cron expression of a schedule; see `evergreen.ingestion.cron`."""

from __future__ import annotations

from evergreen.ingestion import cron
from evergreen.ingestion.cron import Cron
from evergreen.submission.errors import SubmissionError

__all__ = ["Cron", "parse_cron"]


def parse_cron(text: str) -> Cron:
    """Read a cron expression of five fields (as in a crontab) or six (seconds first).

    Raises:
        SubmissionError: It has another number of fields, a field cannot be read, KFP would read it differently, or it never fires.
    """
    return cron.parse_cron(text, error=SubmissionError)
