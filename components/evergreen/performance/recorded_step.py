"""The step that monitors performance, with its run record; imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def monitor_and_record(
    *,
    model: Any,
    baseline: Any,
    current_data: Any,
    performance_result: Any,
    performance_report: Any,
    metrics: Any,
    target_column: str,
    timestamp_column: str,
    label_delay_days: int,
    margin: float,
    minimum_rows: int,
    seed: int,
    policy_config: str,
    predictions: str = "champion",
    ledger_uri: str,
    run_id: str,
    step_name: str,
) -> str:
    """Score the champion on new labelled rows and return the verdict.

    Args:
        model: The champion; may be absent.
        baseline: The champion's score at promotion; may be absent.
        current_data: Rows of the monitored window.
        performance_result: Output artifact for the JSON.
        performance_report: Output artifact for the report.
        metrics: Output artifact for the numbers.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        label_delay_days: Days until labels are complete.
        margin: Smallest drop that matters.
        minimum_rows: Minimum number of rows to score.
        seed: Random seed for the bootstrap.
        policy_config: The policy parameter.
        predictions: ``champion`` or ``logged``.
        ledger_uri: Folder or bucket for the run records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.

    Raises:
        PerformanceError: A parameter or the data is invalid.
        PolicyError: The policy is invalid.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.performance.monitoring import WatchedColumns, monitor
        from evergreen.performance.report import write_outputs
        from evergreen.performance.step import chosen_settings

        performance = monitor(
            model,
            baseline,
            current_data,
            columns=WatchedColumns(target_column, timestamp_column, label_delay_days),
            settings=chosen_settings(policy_config, margin=margin, minimum_rows=minimum_rows),
            predictions=predictions,
            seed=seed,
        )
        return write_outputs(performance, record, result_artifact=performance_result, report_artifact=performance_report, metrics_artifact=metrics)
