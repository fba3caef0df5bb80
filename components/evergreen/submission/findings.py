"""Findings of a run on a cluster that succeeded, for ``evergreen submit --fail-on``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.reporting.fail_on import FailOnError, check_findings, reached
from evergreen.submission.run_records import read_run_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console


def check_fail_on(wanted: Sequence[str], *, follow: bool) -> None:
    """Check the option before anything is uploaded.

    Args:
        wanted: The findings.
        follow: Whether the run is followed to its end.

    Raises:
        FailOnError: A finding does not exist, or nothing waits for the run's end.
    """
    check_findings(wanted)
    if wanted and not follow:
        raise FailOnError(f"--fail-on {wanted[0]}: the run is not followed, so its end is not known. Omit --no-follow and --upload-only, or --fail-on.")


def run_findings(result: dict[str, Any], parameters: Mapping[str, Any], console: Console, wanted: Sequence[str]) -> list[str]:
    """Return which findings a run has reached; print what to know about a degraded champion, and add it to the result.

    Args:
        result: The result of the command; ``run_outcome`` and ``repair`` are added.
        parameters: The run's parameters.
        console: The console.
        wanted: The findings.

    Raises:
        FailOnError: The run's records cannot be read from here.
    """
    from evergreen.reporting.repair_terminal import print_repair
    from evergreen.reporting.summary import summarise_run

    ledger_uri = str(parameters.get("state_ledger_uri", "none"))
    records = read_run_records(ledger_uri, str(result["run_id"]))
    if not records.steps:
        raise FailOnError(
            f"--fail-on {wanted[0]}: no records of run {result['run_id']} can be read at {ledger_uri!r}, so it is not known how it ended. "
            "Run the command where the ledger can be read, or look at the run's report in the KFP UI."
        )
    summary = summarise_run(records.steps, run_id=str(result["run_id"]), model_name=str(parameters.get("model_name", "none")), failure="")
    result["run_outcome"], result["repair"] = summary.outcome, summary.to_json()["repair"]
    print_repair(console, summary)
    return reached(summary, wanted)
