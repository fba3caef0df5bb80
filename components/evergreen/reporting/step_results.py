"""What the steps of a run found, read from their records; one that cannot be read does not hide the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from evergreen.errors import ArtifactError
from evergreen.results.decision import Decision
from evergreen.results.drift import DriftResult
from evergreen.results.evaluation import Evaluation
from evergreen.results.performance import PerformanceResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.results.reading import JsonResult
    from evergreen.runs.records import StepRecord

Result = TypeVar("Result", bound="JsonResult")


@dataclass(frozen=True)
class StepResults:
    """What the deciding steps of a run found; None for a step that did not run, or left nothing that can be read.

    Attributes:
        drift: Of detect_drift.
        performance: Of monitor_performance.
        decision: Of decide_retraining.
        evaluation: Of evaluate_challenger, or evaluate_model.
        problems: A sentence for each result that cannot be read.
    """

    drift: DriftResult | None = None
    performance: PerformanceResult | None = None
    decision: Decision | None = None
    evaluation: Evaluation | None = None
    problems: list[str] = field(default_factory=list)


def read_step_results(records: Sequence[StepRecord]) -> StepResults:
    """Return what the steps of a run found.

    Args:
        records: What the steps wrote.
    """
    by_name = {record.step_name: record for record in records}
    problems: list[str] = []
    return StepResults(
        _read(DriftResult, by_name.get("detect_drift"), problems),
        _read(PerformanceResult, by_name.get("monitor_performance"), problems),
        _read(Decision, by_name.get("decide_retraining"), problems),
        # A pipeline of one's own may leave the step the component's name.
        _read(Evaluation, by_name.get("evaluate_challenger") or by_name.get("evaluate_model"), problems),
        problems,
    )


def _read(kind: type[Result], record: StepRecord | None, problems: list[str]) -> Result | None:
    # A step that failed, or has not ended, found nothing.
    if record is None or not record.details:
        return None
    try:
        return kind.from_json(record.details, source=f"record of {record.step_name}")
    except ArtifactError as error:
        problems.append(str(error))
        return None
