"""The component watch_model; deprecated, see `assess_model`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from evergreen.images import DRIFT_IMAGE
from evergreen.pipeline.component import component


@component(image=DRIFT_IMAGE)
def watch_model(
    reference_data: Input[Dataset],
    current_data: Input[Dataset],
    baseline: Input[Artifact],
    drift_result: Output[Artifact],
    drift_report: Output[HTML],
    drift_metrics: Output[Metrics],
    performance_result: Output[Artifact],
    performance_report: Output[HTML],
    performance_metrics: Output[Metrics],
    decision: Output[Artifact],
    decision_report: Output[HTML],
    target_column: str,
    timestamp_column: str,
    model: Input[Model] = None,
    drift_config: str = "default",
    policy_config: str = "default",
    mode: str = "auto",
    window_end: str = "latest",
    label_delay_days: int = 0,
    margin: float = 0.0,
    minimum_rows: int = 20,
    seed: int = 7,
    model_name: str = "none",
    validation: str = "passed",
    event: str = "none",
    feedback: Input[Artifact] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
) -> str:
    """Deprecated, use assess_model: do what detect_drift, monitor_performance and decide_retraining do, in one pod instead of three.

    The same code runs, and the run's records are those of the three steps, so reports, history and the run's summary are the same.
    What is given up: each of the three is tried again by itself, and drift and performance are looked at side by side.

    Args:
        reference_data: Rows the champion was fitted on, or the file of their profile; absent when there is no champion.
        current_data: Rows of the watched window.
        baseline: The champion's score at promotion; absent when there is no champion.
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        model: The champion; may be absent.
        drift_config: The config of detect_drift.
        policy_config: The policy_config of monitor_performance and decide_retraining.
        mode: "auto", "force" (retrain in any case) or "dry-run" (decide as auto; the promotion is withheld later).
        window_end: End of the watched window as ingest_data returned it; "latest" when it is not known.
        label_delay_days: Labels are complete after this many days; younger rows are not scored.
        margin: Smallest drop in performance that matters, in the metric's unit.
        minimum_rows: Fewest rows to score on.
        seed: Seed of everything random.
        model_name: Name of the registered model, whose ledger holds earlier decisions; "none" decides without them.
        validation: What validate_data answered.
        event: What happened elsewhere and asks for a retraining, in a few words; "none" takes the policy's.
        feedback: The feedback of decide_retraining.
        ledger_uri: Folder or bucket of ledger and run records; "none" records nothing.
        run_id: The pipeline run's id.

    Returns:
        Output: "retrain" or "keep".
        drift_result: As of detect_drift.
        drift_report: As of detect_drift.
        drift_metrics: As of detect_drift.
        performance_result: As of monitor_performance.
        performance_report: As of monitor_performance.
        performance_metrics: As of monitor_performance.
        decision: As of decide_retraining.
        decision_report: As of decide_retraining.
    """
    from evergreen.drift.recorded_step import detect_and_record
    from evergreen.performance.recorded_step import monitor_and_record
    from evergreen.policy.recorded_step import decide_and_record

    detect_and_record(
        reference_data=reference_data,
        current_data=current_data,
        drift_result=drift_result,
        drift_report=drift_report,
        metrics=drift_metrics,
        target_column=target_column,
        timestamp_column=timestamp_column,
        config=drift_config,
        seed=seed,
        model=model,
        ledger_uri=ledger_uri,
        run_id=run_id,
        step_name="detect_drift",
    )
    monitor_and_record(
        model=model,
        baseline=baseline,
        current_data=current_data,
        performance_result=performance_result,
        performance_report=performance_report,
        metrics=performance_metrics,
        target_column=target_column,
        timestamp_column=timestamp_column,
        label_delay_days=label_delay_days,
        margin=margin,
        minimum_rows=minimum_rows,
        seed=seed,
        policy_config=policy_config,
        ledger_uri=ledger_uri,
        run_id=run_id,
        step_name="monitor_performance",
    )
    return decide_and_record(
        drift_result=drift_result,
        performance_result=performance_result,
        baseline=baseline,
        decision=decision,
        decision_report=decision_report,
        policy_config=policy_config,
        mode=mode,
        window_end=window_end,
        model_name=model_name,
        validation=validation,
        event=event,
        feedback=feedback,
        ledger_uri=ledger_uri,
        run_id=run_id,
        step_name="decide_retraining",
    )
