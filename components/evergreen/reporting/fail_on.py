"""The findings on which a command that runs a pipeline ends with an exit status of its own, although every step succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError
from evergreen.settings.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.reporting.summary import RunSummary

FINDINGS = ("degraded", "rejected")
FAIL_ON_STATUS = 3
"""Exit status of a run that succeeded and reached such a finding."""


class FailOnError(EvergreenError):
    """A finding does not exist, or cannot be told."""


def check_findings(wanted: Sequence[str]) -> None:
    """Check that all findings exist.

    Raises:
        FailOnError: One does not.
    """
    unknown = next((finding for finding in wanted if finding not in FINDINGS), None)
    if unknown is not None:
        raise FailOnError(f"Unknown --fail-on {unknown!r}. Valid values: {', '.join(FINDINGS)}.{did_you_mean(unknown, FINDINGS)} Correct the option.")


def reached(summary: RunSummary, wanted: Sequence[str]) -> list[str]:
    """Return which of the findings a run has reached.

    Args:
        summary: Summary of the run.
        wanted: The findings: ``degraded`` (the champion is degraded, and the run promoted nothing) or ``rejected`` (the gate rejected a challenger).
    """
    rejected = summary.evaluation is not None and summary.evaluation.verdict == "reject"
    found = {"degraded": summary.repair is not None, "rejected": rejected}
    return [finding for finding in FINDINGS if finding in wanted and found[finding]]
