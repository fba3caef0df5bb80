"""Results of the steps of a run, read from their records; an unreadable record does not affect the others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from evergreen.errors import ArtifactError
from evergreen.results.candidates import CandidateChoice
from evergreen.results.decision import Decision
from evergreen.results.drift import DriftResult
from evergreen.results.evaluation import Evaluation
from evergreen.results.performance import PerformanceResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evergreen.results.reading import JsonResult
    from evergreen.runs.records import StepRecord

EVALUATIONS = ("evaluate_challenger", "evaluate_model")
"""Names of the step that compares the models: the name in the pipelines, and the component's name."""

TRAININGS = ("train_challenger", "train_model")
"""Names of the step that trains a challenger: the name in the pipelines, and the component's name."""

Result = TypeVar("Result", bound="JsonResult")


@dataclass(frozen=True)
class StepResults:
    """Results of the steps of a run that lead to its outcome; None for a step that did not run or has no readable record.

    Attributes:
        drift: Result of detect_drift.
        performance: Result of monitor_performance.
        decision: Result of decide_retraining.
        evaluation: Result of evaluate_challenger.
        choice: What train_challenger chose among.
        problems: One sentence for each unreadable result.
    """

    drift: DriftResult | None = None
    performance: PerformanceResult | None = None
    decision: Decision | None = None
    evaluation: Evaluation | None = None
    choice: CandidateChoice | None = None
    problems: list[str] = field(default_factory=list)


def read_step_results(records: Sequence[StepRecord]) -> StepResults:
    """Return the results of the steps of a run.

    Args:
        records: Records of the steps.
    """
    by_name = {record.step_name: record for record in records}
    problems: list[str] = []
    return StepResults(
        _read(DriftResult, by_name.get("detect_drift"), problems),
        _read(PerformanceResult, by_name.get("monitor_performance"), problems),
        _read(Decision, by_name.get("decide_retraining"), problems),
        _read(Evaluation, first_of(by_name, EVALUATIONS), problems),
        _read_choice(first_of(by_name, TRAININGS), problems),
        problems,
    )


def first_of(records: Mapping[str, StepRecord], names: Sequence[str]) -> StepRecord | None:
    """Return the record of the first of several names that a step may have, or None."""
    return next((records[name] for name in names if name in records), None)


def _read_choice(record: StepRecord | None, problems: list[str]) -> CandidateChoice | None:
    # Where nothing was chosen, the record has none.
    choice = record.details.get("choice") if record else None
    return _read(CandidateChoice, replace(record, details=choice), problems) if record and choice else None


def _read(kind: type[Result], record: StepRecord | None, problems: list[str]) -> Result | None:
    # A step that failed or has not finished has no result.
    if record is None or not record.details:
        return None
    try:
        return kind.from_json(record.details, source=f"record of {record.step_name}")
    except ArtifactError as error:
        problems.append(str(error))
        return None
