"""The summary of a run, derived from the records of its steps.

KFP's own final status is recorded with it but does not determine the outcome, because some backends report it late.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from evergreen.data.times import parse_time
from evergreen.reporting.repair import find_repair
from evergreen.reporting.step_results import read_step_results
from evergreen.results.repair import NOT_REPAIRED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.results.candidates import CandidateChoice
    from evergreen.results.evaluation import Evaluation
    from evergreen.results.repair import Repair
    from evergreen.runs.records import StepRecord

DEPLOYED = ("promoted", "already champion", "waiting for approval", "dry run")
"""Outcomes that deploy_model may report."""

KEEPS_ITS_NAME = ("failed", "waiting for approval")
"""Outcomes that say themselves what is missing, even if the champion stays degraded."""

OTHER_PIPELINES = {
    ("roll_back_model",): "rolled back",
    ("report_backtest",): "compared",
    ("choose_candidate", "train_challenger"): "searched",
    ("merge_profiles", "detect_drift"): "drift measured",
}
"""Outcomes of pipelines other than the retraining loop, by the steps that a completed run has."""

COMPLETED = "completed"
"""Outcome of a custom pipeline whose steps all succeeded, according to the caller that ran it."""


@dataclass
class RunSummary:
    """The summary of a run.

    Attributes:
        run_id: ID of the run.
        model_name: Name of the registered model.
        outcome: ``failed``, ``promoted``, ``already champion``, ``waiting for approval``, ``dry run``, ``kept``, ``rejected``,
            ``degraded, not repaired``, ``rolled back``, ``compared``, ``searched``, ``drift measured`` or ``completed``.
        status: ``succeeded`` or ``failed``.
        decision: ``retrain``, ``keep``, or empty if no decision was made.
        reasons: The reasons for the decision.
        evaluation: The result of evaluate_model; None if it did not run.
        champion_before: Version of the champion when the run started, or ``none``.
        champion_after: Version of the champion when the run ended, or ``none``.
        steps: Name, state, outcome, start, duration and error of each step.
        error: The full error message; empty if there was no error.
        reports: URI of each report by ``step/report``.
        started_at: Start time of the first step, ISO, UTC.
        duration_s: Seconds from then until the end of the last finished step.
        problems: Records that could not be read.
        final_status: State, error code and error message as reported by KFP.
        repair: Why a degraded champion was not repaired, whatever the outcome: since when it is degraded, what was tried, what would probably help and
            what happens next; None (in JSON an empty object) if it is not degraded or was repaired.
        choice: The candidates that the challenger was chosen among, and the chosen one; None (in JSON an empty object) if nothing was chosen.
    """

    run_id: str
    model_name: str
    outcome: str
    status: str
    decision: str = ""
    reasons: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None
    champion_before: str = "none"
    champion_after: str = "none"
    steps: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    reports: dict[str, str] = field(default_factory=dict)
    started_at: str = ""
    duration_s: float | None = None
    problems: list[str] = field(default_factory=list)
    final_status: dict[str, str] = field(default_factory=dict)
    repair: Repair | None = None
    choice: CandidateChoice | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain JSON values; a missing evaluation, repair or choice is an empty object."""
        content = asdict(self)
        evaluation = self.evaluation.without_rows() if self.evaluation else {}
        return {**content, "evaluation": evaluation, "repair": content["repair"] or {}, "choice": content["choice"] or {}}


def summarise_run(
    records: Sequence[StepRecord],
    *,
    run_id: str = "none",
    model_name: str = "none",
    problems: Sequence[str] = (),
    final_status: dict[str, str] | None = None,
    failure: str | None = None,
) -> RunSummary:
    """Summarise a run.

    Args:
        records: Records of its steps, in the order in which they started.
        run_id: ID of the run.
        model_name: Name of the registered model.
        problems: Records that could not be read.
        final_status: State and error as reported by KFP.
        failure: The error reported by the caller that ran all steps, empty if every step succeeded; None if only the records are known.

    Returns:
        The summary. A run that ended without a result counts as failed even if no step reports a failure, because a step
        that never started (for example, because its image cannot be pulled) leaves no record.
    """
    steps = {record.step_name: record for record in records}
    decision = steps.get("decide_retraining")
    found = read_step_results(records)
    unreadable = [*problems, *found.problems]
    outcome, error = _outcome(steps, unreadable, failure)
    repair = find_repair(steps, found, model_name=model_name)
    if repair is not None and outcome not in KEEPS_ITS_NAME:
        outcome = NOT_REPAIRED
    status = final_status or {}
    if outcome == "failed" and status.get("error_message"):
        error = f"{error}\nKFP reports: {status['error_message']}"
    before = _version(steps.get("load_champion"), "champion_version")
    after = _version(steps.get("deploy_model"), "champion_after") if outcome in ("promoted", "already champion") or _promoted(steps) else "none"
    return RunSummary(
        run_id=run_id,
        model_name=model_name,
        outcome=outcome,
        status="failed" if outcome == "failed" else "succeeded",
        decision=decision.outcome if decision else "",
        reasons=list(found.decision.reasons) if found.decision else [],
        evaluation=found.evaluation,
        champion_before=before,
        champion_after=before if after == "none" else after,
        steps=[_step(record) for record in records],
        error=error,
        reports={f"{record.step_name}/{name}": str(uri) for record in records for name, uri in record.reports.items()},
        started_at=records[0].started_at if records else "",
        duration_s=_duration(records),
        problems=unreadable,
        final_status=status,
        repair=repair,
        choice=found.choice,
    )


def _outcome(steps: dict[str, StepRecord], problems: list[str], failure: str | None) -> tuple[str, str]:
    """Return the outcome, and the error if it is ``failed``."""
    errors = [f"{record.step_name}: {record.error or 'failed without a message.'}" for record in steps.values() if record.state == "failed"]
    errors += [
        f"{record.step_name}: started at {record.started_at} and never ended; it was killed, or ran out of memory or time."
        for record in steps.values()
        if record.state not in ("failed", "succeeded")
    ]
    if errors or failure:
        return "failed", "\n".join(errors) or str(failure)
    outcome = _reached(steps)
    if outcome:
        return outcome, ""
    if failure is not None:
        return COMPLETED, ""
    last = next(reversed(steps), "")
    where = f"The run ended after {last} without a result." if last else "No step of the run left a record: the run ended before its first step started."
    return "failed", "\n".join([where, *problems])


def _reached(steps: dict[str, StepRecord]) -> str:
    deployment, decision, evaluation = steps.get("deploy_model"), steps.get("decide_retraining"), _evaluation(steps)
    if deployment:
        return deployment.outcome if deployment.outcome in DEPLOYED else ""
    for names, reached in OTHER_PIPELINES.items():
        if all(name in steps for name in names):
            return reached
    if "reject_challenger" in steps or (evaluation and evaluation.outcome == "reject"):
        return "rejected"
    return "kept" if "keep_champion" in steps or (decision and decision.outcome == "keep") else ""


def _evaluation(steps: dict[str, StepRecord]) -> StepRecord | None:
    # A custom pipeline may keep the component's name for the step.
    return steps.get("evaluate_challenger") or steps.get("evaluate_model")


def _promoted(steps: dict[str, StepRecord]) -> bool:
    # A later step may fail after the promotion; the new champion remains in place.
    deployment = steps.get("deploy_model")
    return deployment is not None and deployment.state == "succeeded" and deployment.outcome == "promoted"


def _version(record: StepRecord | None, name: str) -> str:
    value = record.details.get(name) if record else None
    return "none" if value in (None, "") else str(value)


def _step(record: StepRecord) -> dict[str, Any]:
    return {
        "step_name": record.step_name,
        "state": record.state,
        "outcome": record.outcome,
        "started_at": record.started_at,
        "duration_s": record.duration_s,
        "error": record.error,
    }


def _duration(records: Sequence[StepRecord]) -> float | None:
    starts = [(start, record.duration_s or 0.0) for record in records if (start := _time(record.started_at)) is not None]
    if not starts:
        return None
    first = min(start for start, _ in starts)
    last = max(start + timedelta(seconds=float(duration)) for start, duration in starts)
    return round((last - first).total_seconds(), 3)


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None
