"""The components that decide: `decide_retraining`, and `assess_model`, which looks and decides in one step."""

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
    """Decide from drift, performance, age and request whether to train a challenger, and say why.

    Args:
        drift_result: The JSON of detect_drift.
        performance_result: The JSON of monitor_performance.
        baseline: The champion's baseline; absent when there is no champion.
        policy_config: "default", or the policy as YAML or JSON, in line or as the path or gs:// URI of a file.
        mode: "auto", "force" (retrain in any case) or "dry-run" (decide as auto; the promotion is withheld later).
        window_end: End of the watched window as ingest_data returned it; "latest" when it is not known.
        model_name: Name of the registered model, whose ledger holds earlier decisions for hysteresis, cool-down and budget, and gets this one; "none"
            decides without them and records nothing there.
        validation: What validate_data answered, for the veto contract_warnings.
        event: What happened elsewhere and asks for a retraining, in a few words; "none" takes the policy's.
        feedback: What read_feedback counted; without it feedback is read from where the policy's section feedback says, if it names a place.
        ledger_uri: Folder or bucket of ledger and run records; "none" records nothing.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: "retrain" or "keep".
        decision: The decision, its reasons, and what every trigger said, as JSON.
        decision_report: The same for people.
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
    """Load the champion, look at the newest window and decide: six steps of continuous_retraining in one pod.

    The same functions run, under the names load_champion, ingest_window, validate_window, detect_drift, monitor_performance and decide_retraining:
    records, reports, ledger and verdicts are the same. What is given up: a part is not tried again by itself, and the graph shows one box.

    Args:
        model_name: Name of the registered model.
        tracking_uri: The MLflow server's address.
        source_uri: The source_uri of ingest_data.
        timestamp_column: Name of the event time.
        target_column: Name of the label.
        window_end: The window_end of ingest_data.
        schedule_time: The schedule_time of ingest_data: dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER.
        window_days: Length of the window, in days.
        label_delay_days: Labels are complete after this many days; younger rows are not scored.
        excluded_columns: Columns to leave out, separated by commas; "none" for none.
        catch_up: Whether the window starts where the model's newest earlier one ended.
        contract: The contract of validate_data.
        task: "auto", "classification" or "regression".
        drift_config: The config of detect_drift.
        policy_config: The policy_config of monitor_performance and decide_retraining.
        mode: "auto", "force" (retrain in any case) or "dry-run" (decide as auto; the promotion is withheld later).
        margin: Smallest drop in performance that matters, in the metric's unit; 0 takes the policy's.
        minimum_rows: Fewest rows to score on; 20 takes the policy's.
        seed: Seed of everything random.
        event: What happened elsewhere and asks for a retraining, in a few words; "none" takes the policy's.
        feedback: The feedback of decide_retraining.
        ledger_uri: Folder or bucket of ledger and run records; "none" records nothing.
        run_id: The pipeline run's id.

    Returns:
        Output: "retrain" or "keep".
        champion: The champion as an MLflow model directory; absent when there is none.
        champion_contract: Its data contract, YAML; absent when there is no champion.
        baseline: Its score with interval, features, importances, and the event time up to which it has seen rows; absent when there is no champion.
        quarantined_data: The rows of the window that rules of severity "quarantine" put aside; absent when there are none.
        validation_report: As of validate_data.
        drift_result: As of detect_drift.
        drift_report: As of detect_drift.
        performance_result: As of monitor_performance.
        performance_report: As of monitor_performance.
        decision: As of decide_retraining; ingest_data with window_end "decision" takes the same end for the training window.
        decision_report: As of decide_retraining.
        metrics: The champion's score now and at promotion, the drop, and how many features drifted.
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
        ),
        MonitoringOutputs(performance_result, performance_report, performance_metrics),
        StepPlace(ledger_uri, run_id, "monitor_performance"),
    )
    return decide_and_record(
        DecisionRequest(drift_result, performance_result, baseline, policy_config, mode, window_end, model_name, validation, event, feedback),
        DecisionOutputs(decision, decision_report),
        StepPlace(ledger_uri, run_id, "decide_retraining"),
    )
