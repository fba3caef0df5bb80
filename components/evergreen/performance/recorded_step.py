"""The step that monitors performance, with its run record; imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.performance.request import MonitoringOutputs, MonitoringRequest
    from evergreen.runs.records import StepPlace


def monitor_and_record(request: MonitoringRequest, outputs: MonitoringOutputs, place: StepPlace) -> str:
    """Score the champion on new labelled rows and return the verdict.

    Args:
        request: The model and rows to monitor, and the settings.
        outputs: Output artifacts.
        place: Location of the step's record, the run and the step.

    Raises:
        PerformanceError: A parameter or the data is invalid.
        PolicyError: The policy is invalid.
    """
    with place.reported() as record:
        from evergreen.performance.monitoring import WatchedColumns, monitor
        from evergreen.performance.recent_rows import model_name_of, open_recent_rows
        from evergreen.performance.report import write_outputs
        from evergreen.performance.step import chosen_settings

        performance = monitor(
            request.model,
            request.baseline,
            request.current_data,
            columns=WatchedColumns(request.target_column, request.timestamp_column, request.label_delay_days),
            settings=chosen_settings(request.policy_config, margin=request.margin, minimum_rows=request.minimum_rows),
            predictions=request.predictions,
            seed=request.seed,
            reference_data=request.reference_data,
            recent_rows=open_recent_rows(place.ledger_uri, model_name_of(request.baseline)),
        )
        return write_outputs(performance, record, outputs)
