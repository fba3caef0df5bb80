"""The components that monitor the champion: `monitor_performance`, and those it needs when labels arrive late."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def monitor_performance(
    model: Input[Model],
    baseline: Input[Artifact],
    current_data: Input[Dataset],
    performance_result: Output[Artifact],
    performance_report: Output[HTML],
    metrics: Output[Metrics],
    target_column: str,
    timestamp_column: str,
    label_delay_days: int = 0,
    margin: float = 0.0,
    minimum_rows: int = 20,
    seed: int = 7,
    predictions: str = "champion",
    policy_config: str = "default",
    reference_data: Input[Dataset] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "monitor_performance",
) -> str:
    """Score the champion on new labelled rows and compare the score with that at promotion.

    Args:
        model: The champion; may be absent.
        baseline: The champion's score at promotion (JSON).
        current_data: The newest rows, or labelled_data of join_labels; only labelled rows that the champion has not seen are scored.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        label_delay_days: Days until labels are complete; newer rows are not used.
        margin: Smallest drop that matters, in units of the metric; 0 uses the policy's margin, where 0 means that significance alone decides.
        minimum_rows: Minimum number of rows to score; 20 uses the policy's minimum.
        seed: Random seed for the bootstrap.
        predictions: "champion" scores the rows now; "logged" uses the champion's logged predictions from join_labels.
        policy_config: The retraining policy, whose performance section configures slices and the estimate without labels.
        reference_data: Rows that the champion was fitted on, with labels; if given, a loss is divided into what the inputs' drift explains and the rest.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: no champion, holds, degraded or cannot tell.
        performance_result: Scores, intervals and verdict (JSON).
        performance_report: The result as an HTML report.
        metrics: The champion's current score, its score at promotion, and the drop.
    """
    from evergreen.performance.recorded_step import monitor_and_record
    from evergreen.performance.request import MonitoringOutputs, MonitoringRequest
    from evergreen.runs.records import StepPlace

    return monitor_and_record(
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
            predictions,
            policy_config,
            reference_data,
        ),
        MonitoringOutputs(performance_result, performance_report, metrics),
        StepPlace(ledger_uri, run_id, step_name),
    )


@component(image=BASE_IMAGE)
def batch_predict(
    model: Input[Model],
    data: Input[Dataset],
    prediction_log: Output[Dataset],
    metrics: Output[Metrics],
    key_column: str,
    timestamp_column: str = "none",
    model_name: str = "none",
    predicted_at: str = "now",
    log_features: bool = True,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "batch_predict",
) -> str:
    """Score rows with the champion and write a prediction log, to which labels are joined when they arrive.

    Args:
        model: The champion; may be absent.
        data: The rows to score.
        key_column: Column that identifies a row, unique and never missing; labels are joined by it.
        timestamp_column: Name of the event time column; "none" if there is none.
        model_name: Name of the registered model; "none" uses the name in the metadata from load_champion.
        predicted_at: Time recorded for the predictions: "now", "event_time", or an ISO time.
        log_features: Whether to log the features, which are needed for slices and for comparing unlabelled rows.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "predicted" or "no champion".
        prediction_log: The predictions as Parquet, in the format of evergreen.performance.prediction_log.
        metrics: Number of rows and, for a classifier, the mean confidence.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from dataclasses import asdict

        from evergreen.data.artifacts import write_metrics
        from evergreen.data.json_values import plain
        from evergreen.performance.batch_prediction import predict_batch

        found = predict_batch(
            model=model,
            data=data,
            prediction_log=prediction_log,
            key_column=key_column,
            timestamp_column=timestamp_column,
            model_name=model_name,
            predicted_at=predicted_at,
            log_features=log_features,
        )
        write_metrics(metrics, {"rows predicted": found.rows, "mean confidence": found.mean_confidence})
        record.details = plain(asdict(found))
        record.outcome = found.outcome
        return found.outcome


@component(image=BASE_IMAGE)
def join_labels(
    prediction_log: Input[Dataset],
    labels: Input[Dataset],
    labelled_data: Output[Dataset],
    join_result: Output[Artifact],
    join_report: Output[HTML],
    metrics: Output[Metrics],
    key_column: str,
    target_column: str,
    timestamp_column: str,
    label_time_column: str = "none",
    horizon_days: float = 30.0,
    as_of: str = "latest",
    policy_config: str = "default",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "join_labels",
) -> str:
    """Join late labels to their predictions, and report whether the rows without a label differ.

    Args:
        prediction_log: Prediction log from batch_predict or a model server; may be absent.
        labels: Keys, labels, and the time at which each label became known; may be absent.
        key_column: Column of the labels with the keys of the predictions.
        target_column: Column of the labels with the label; it keeps its name in the result.
        timestamp_column: Name of the event time column in the result.
        label_time_column: Column of the labels with the time at which each became known; "none" if there is none, so that the horizon is not checked.
        horizon_days: Labels that arrive more than this many days after the prediction are not used.
        as_of: Time at which to decide whether missing labels may still arrive, ISO; "latest" for the newest time in log and labels.
        policy_config: The retraining policy, whose performance section may set horizon_days; a horizon_days other than 30 given here overrides it.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: "joined", "no labels" or "no predictions".
        labelled_data: Every prediction with its features, event time, label (if any) and logged columns, for monitor_performance.
        join_result: What was joined and what was left out (JSON).
        join_report: The result as an HTML report.
        metrics: The share of predictions with a label.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.performance.label_join import JoinSettings
        from evergreen.performance.label_report import run_label_join
        from evergreen.performance.step import chosen_horizon

        settings = JoinSettings(
            key_column=key_column,
            target_column=target_column,
            timestamp_column=timestamp_column,
            label_time_column=label_time_column,
            horizon_days=chosen_horizon(horizon_days, policy_config),
            as_of=as_of,
        )
        result = run_label_join(
            prediction_log=prediction_log,
            labels=labels,
            labelled_data=labelled_data,
            join_result=join_result,
            join_report=join_report,
            metrics=metrics,
            settings=settings,
            record=record,
        )
        return result.verdict


@component(image=BASE_IMAGE)
def read_feedback(
    feedback: Output[Artifact],
    corrections: Output[Dataset],
    source_uri: str,
    timestamp_column: str = "time",
    window_end: str = "latest",
    window_days: int = 30,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "read_feedback",
) -> str:
    """Count the user feedback in a window by source, for decide_retraining, and extract corrected labels.

    Args:
        source_uri: File, folder, bucket, stream or database with the columns source, and kind or score; also key and label for corrected labels.
        timestamp_column: Column with the time at which the feedback was given.
        window_end: End of the window, ISO; "latest" for the newest feedback.
        window_days: Length of the window in days.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "feedback" or "no feedback".
        feedback: Counts per source (JSON).
        corrections: Key, corrected label, source and time of each correction, as labels for join_labels; absent when there are none.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.performance.feedback import read_feedback_window, write_feedback

        found, corrected = read_feedback_window(source_uri, timestamp_column=timestamp_column, window_end=window_end, window_days=window_days)
        write_feedback(found, corrected, feedback=feedback, corrections=corrections)
        record.outcome = "feedback" if found.present else "no feedback"
        # A source may be a user, so names are kept only in the artifact.
        record.details = {"sentence": found.sentence, "rows": found.rows, "negative": found.negative, "sources": len(found.sources)}
        return record.outcome
