"""The components that decide: `decide_retraining`, and `assess_model`, which monitors and decides in a single step."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from evergreen.images import BASE_IMAGE, DRIFT_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def decide_retraining(
    drift_result: Input[Artifact],
    performance_result: Input[Artifact],
    baseline: Input[Artifact],
    decision: Output[Artifact],
    decision_report: Output[HTML],
    policy_config: str = "default",
    mode: str = "auto",
    window_end: str = "latest",
    model_name: str = "none",
    validation: str = "passed",
    event: str = "none",
    feedback: Input[Artifact] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "decide_retraining",
) -> str:
    """Decide whether to train a challenger, based on drift, performance, model age and requests, and explain why.

    Args:
        drift_result: Result of detect_drift (JSON).
        performance_result: Result of monitor_performance (JSON).
        baseline: The champion's baseline; absent when there is no champion.
        policy_config: The policy as inline YAML or JSON, or the path or gs:// URI of a file; "default" for the default policy.
        mode: "auto", "force" (always retrain) or "dry-run" (decide as in auto; the promotion is withheld later).
        window_end: End of the monitored window, as returned by ingest_data; "latest" if unknown.
        model_name: Name of the registered model. Its ledger provides the earlier decisions for hysteresis, cool-down and budget, and records this one;
            "none" decides without them and records nothing in the ledger.
        validation: Outcome of validate_data, for the contract_warnings veto.
        event: Short description of an external event that calls for a retraining; "none" uses the policy's event.
        feedback: Feedback counts from read_feedback. If absent, feedback is read from the source_uri in the policy's feedback section, if set.
        ledger_uri: Folder or bucket for the ledger and run records; "none" records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "retrain" or "keep".
        decision: The decision, its reasons and the verdict of every trigger (JSON).
        decision_report: The decision as an HTML report.
    """
    from evergreen.policy.recorded_step import decide_and_record
    from evergreen.policy.request import DecisionOutputs, DecisionRequest
    from evergreen.runs.records import StepPlace

    return decide_and_record(
        DecisionRequest(drift_result, performance_result, baseline, policy_config, mode, window_end, model_name, validation, event, feedback),
        DecisionOutputs(decision, decision_report),
        StepPlace(ledger_uri, run_id, step_name),
    )


@component(image=DRIFT_IMAGE)
def assess_model(
    champion: Output[Model],
    champion_contract: Output[Artifact],
    baseline: Output[Artifact],
    quarantined_data: Output[Dataset],
    validation_report: Output[HTML],
    drift_result: Output[Artifact],
    drift_report: Output[HTML],
    performance_result: Output[Artifact],
    performance_report: Output[HTML],
    decision: Output[Artifact],
    decision_report: Output[HTML],
    metrics: Output[Metrics],
    model_name: str,
    tracking_uri: str,
    source_uri: str,
    timestamp_column: str,
    target_column: str,
    window_end: str = "latest",
    schedule_time: str = "none",
    window_days: int = 30,
    label_delay_days: int = 0,
    excluded_columns: str = "none",
    catch_up: bool = False,
    contract: str = "inferred",
    task: str = "auto",
    drift_config: str = "default",
    policy_config: str = "default",
    mode: str = "auto",
    margin: float = 0.0,
    minimum_rows: int = 20,
    seed: int = 7,
    event: str = "none",
    feedback: Input[Artifact] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
) -> str:
    """Load the champion, check the newest window and decide whether to retrain: six steps of continuous_retraining in one pod.

    Runs the same functions under the names load_champion, ingest_window, validate_window, detect_drift, monitor_performance and decide_retraining,
    so records, reports, ledger and verdicts are identical. The trade-off: parts are not retried individually, and the graph shows a single node.

    Args:
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.
        source_uri: Same as source_uri of ingest_data.
        timestamp_column: Name of the event time column.
        target_column: Name of the label column.
        window_end: Same as window_end of ingest_data.
        schedule_time: Same as schedule_time of ingest_data: dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER.
        window_days: Length of the window in days.
        label_delay_days: Days until labels are complete; newer rows are not scored.
        excluded_columns: Comma-separated columns to exclude; "none" for none.
        catch_up: Whether the window starts where the model's most recent earlier window ended.
        contract: Same as contract of validate_data.
        task: "auto", "classification" or "regression".
        drift_config: Same as config of detect_drift.
        policy_config: Same as policy_config of monitor_performance and decide_retraining.
        mode: "auto", "force" (always retrain) or "dry-run" (decide as in auto; the promotion is withheld later).
        margin: Smallest performance drop that matters, in units of the metric; 0 uses the policy's margin.
        minimum_rows: Minimum number of rows to score; 20 uses the policy's minimum.
        seed: Random seed.
        event: Short description of an external event that calls for a retraining; "none" uses the policy's event.
        feedback: Same as feedback of decide_retraining.
        ledger_uri: Folder or bucket for the ledger and run records; "none" records nothing.
        run_id: ID of the pipeline run.

    Returns:
        Output: "retrain" or "keep".
        champion: The champion as an MLflow model directory; absent when there is no champion.
        champion_contract: The champion's data contract (YAML); absent when there is no champion.
        baseline: The champion's score with its interval, features, importances and the event time of its newest row; absent when there is no champion.
        quarantined_data: Rows of the window set aside by rules with severity "quarantine"; absent when there are none.
        validation_report: Same as validation_report of validate_data.
        drift_result: Same as drift_result of detect_drift.
        drift_report: Same as drift_report of detect_drift.
        performance_result: Same as performance_result of monitor_performance.
        performance_report: Same as performance_report of monitor_performance.
        decision: Same as decision of decide_retraining; ingest_data with window_end "decision" ends the training window at the same time.
        decision_report: Same as decision_report of decide_retraining.
        metrics: The champion's current score, its score at promotion, the drop and the number of drifted features.
    """
    from evergreen.policy.assessment import AssessmentOutputs, Judgement, WatchedData, assess

    return assess(
        AssessmentOutputs(
            champion,
            champion_contract,
            baseline,
            quarantined_data,
            validation_report,
            drift_result,
            drift_report,
            performance_result,
            performance_report,
            decision,
            decision_report,
            metrics,
        ),
        WatchedData(
            source_uri=source_uri,
            timestamp_column=timestamp_column,
            target_column=target_column,
            window_end=window_end,
            schedule_time=schedule_time,
            window_days=window_days,
            label_delay_days=label_delay_days,
            excluded_columns=excluded_columns,
            catch_up=catch_up,
            contract=contract,
            task=task,
        ),
        Judgement(drift_config, policy_config, mode, margin, minimum_rows, seed, event, feedback),
        model_name=model_name,
        tracking_uri=tracking_uri,
        ledger_uri=ledger_uri,
        run_id=run_id,
    )


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
    """Deprecated, use assess_model: run detect_drift, monitor_performance and decide_retraining in one pod instead of three.

    Runs the same code and writes the run records of the three steps, so reports, history and the run summary are identical.
    The trade-off: the three steps are not retried individually, and drift and performance are not checked in parallel.

    Args:
        reference_data: Rows the champion was fitted on, or a file with their profile; absent when there is no champion.
        current_data: Rows of the monitored window.
        baseline: The champion's score at promotion; absent when there is no champion.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        model: The champion; may be absent.
        drift_config: Same as config of detect_drift.
        policy_config: Same as policy_config of monitor_performance and decide_retraining.
        mode: "auto", "force" (always retrain) or "dry-run" (decide as in auto; the promotion is withheld later).
        window_end: End of the monitored window, as returned by ingest_data; "latest" if unknown.
        label_delay_days: Days until labels are complete; newer rows are not scored.
        margin: Smallest performance drop that matters, in units of the metric.
        minimum_rows: Minimum number of rows to score.
        seed: Random seed.
        model_name: Name of the registered model, whose ledger holds earlier decisions; "none" decides without them.
        validation: Outcome of validate_data.
        event: Short description of an external event that calls for a retraining; "none" uses the policy's event.
        feedback: Same as feedback of decide_retraining.
        ledger_uri: Folder or bucket for the ledger and run records; "none" records nothing.
        run_id: ID of the pipeline run.

    Returns:
        Output: "retrain" or "keep".
        drift_result: Same as drift_result of detect_drift.
        drift_report: Same as drift_report of detect_drift.
        drift_metrics: Same as metrics of detect_drift.
        performance_result: Same as performance_result of monitor_performance.
        performance_report: Same as performance_report of monitor_performance.
        performance_metrics: Same as metrics of monitor_performance.
        decision: Same as decision of decide_retraining.
        decision_report: Same as decision_report of decide_retraining.
    """
    from evergreen.drift.recorded_step import detect_and_record
    from evergreen.drift.request import DriftOutputs, DriftRequest
    from evergreen.performance.recorded_step import monitor_and_record
    from evergreen.performance.request import MonitoringOutputs, MonitoringRequest
    from evergreen.policy.recorded_step import decide_and_record
    from evergreen.policy.request import DecisionOutputs, DecisionRequest
    from evergreen.runs.records import StepPlace

    detect_and_record(
        DriftRequest(reference_data, current_data, target_column, timestamp_column, model, drift_config, seed),
        DriftOutputs(drift_result, drift_report, drift_metrics),
        StepPlace(ledger_uri, run_id, "detect_drift"),
    )
    monitor_and_record(
        MonitoringRequest(
            model,
            baseline,
            current_data,
            target_column,
            timestamp_column,
            label_delay_days,
            margin,
            minimum_rows,
            seed,
            policy_config=policy_config,
            reference_data=reference_data,
        ),
        MonitoringOutputs(performance_result, performance_report, performance_metrics),
        StepPlace(ledger_uri, run_id, "monitor_performance"),
    )
    return decide_and_record(
        DecisionRequest(drift_result, performance_result, baseline, policy_config, mode, window_end, model_name, validation, event, feedback),
        DecisionOutputs(decision, decision_report),
        StepPlace(ledger_uri, run_id, "decide_retraining"),
    )
