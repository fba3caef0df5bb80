"""The step that monitors performance, with its record; light, so that the record is there before the logic is imported."""

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
        current_data: The watched window.
        performance_result: Output artifact of the JSON.
        performance_report: Output artifact of the page.
        metrics: Output artifact of the numbers.
        target_column: The label.
        timestamp_column: The event time.
        label_delay_days: Days after which labels are complete.
        margin: Smallest drop that matters.
        minimum_rows: Fewest rows to score on.
        seed: Seed of the bootstrap.
        policy_config: The policy parameter.
        predictions: ``champion`` or ``logged``.
        ledger_uri: Folder or bucket of the run records, or ``none``.
        run_id: The pipeline run.
        step_name: The step.

    Raises:
        PerformanceError: A parameter or the data cannot be used.
        PolicyError: The policy cannot be used.
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
