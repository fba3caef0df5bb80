"""The record and metrics of a training step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import write_metrics

if TYPE_CHECKING:
    from evergreen.results.candidates import CandidateChoice
    from evergreen.runs.records import StepRecord
    from evergreen.training.challenger import TrainingResult


def report(trained: TrainingResult, record: StepRecord, metrics: Any = None) -> str:
    """Fill in a step's record and metrics from its result; return the model's ID.

    Args:
        trained: The result.
        record: The step's record.
        metrics: The metrics artifact, if the step has one.
    """
    description = trained.description
    record.outcome = description.challenger_id
    record.details = {
        "challenger_id": description.challenger_id,
        "model_uri": trained.logged.model_uri,
        "mlflow_run_id": trained.logged.run_id,
        "reused": trained.reused,
        "task": description.task,
        "estimator": description.estimator,
        "hyperparameters": description.hyperparameters,
        "fit_start": description.fit_start,
        "fit_end": description.fit_end,
        "warnings": trained.warnings,
        **({"choice": trained.choice.to_json()} if trained.choice else {}),
        **trained.numbers,
    }
    if metrics is not None:
        write_metrics(metrics, {"rows learned from": trained.numbers["rows"], **_choice_numbers(trained.choice)})
    return description.challenger_id


def _choice_numbers(choice: CandidateChoice | None) -> dict[str, float | None]:
    """Return the numbers of a choice by display name; none if nothing was chosen."""
    if choice is None:
        return {}
    since = float(choice.rows_since_change) if choice.changed_at else None
    return {"candidates to learn from": float(len(choice.candidates)), "gain of the chosen one": choice.chosen.gain, "rows since the change": since}
