"""The components that watch the champion: `monitor_performance`, and what it needs where labels come late."""

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
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "monitor_performance",
) -> str:
    """Score the champion on new labelled rows and compare with its score at promotion.

    Args:
        model: The champion; may be absent.
        baseline: The champion's score at promotion, JSON.
        current_data: The newest rows, or labelled_data of join_labels; only those that the champion has not seen and that have a label are scored.
        target_column: Name of the label's column.
        timestamp_column: Name of the event time's column.
        label_delay_days: Labels are complete after this many days; younger rows are not used.
        margin: Smallest drop that matters, in the metric's unit; 0 takes the policy's, where 0 means that significance alone decides.
        minimum_rows: Fewest rows to score on; 20 takes the policy's.
        seed: Seed of the bootstrap.
        predictions: "champion" scores the rows now; "logged" takes what the champion said at the time, from join_labels.
        policy_config: The retraining policy, whose section performance says what else is looked at: slices, an estimate without labels.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: no champion, holds, degraded or cannot tell.
        performance_result: Scores, intervals and verdict as JSON.
        performance_report: The same as a page.
        metrics: The champion's score now and at promotion, and the drop.
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
    """Score rows with the champion and write the prediction log, which labels are joined to when they come.

    Args:
        model: The champion; may be absent.
        data: The rows to score.
        key_column: Column that identifies a row, unique and never missing; labels are joined by it.
        timestamp_column: Name of the event time's column; "none" when the rows have none.
        model_name: Name of the registered model; "none" takes what load_champion wrote on the model.
        predicted_at: When the predictions count as made: "now", "event_time", or an ISO time.
        log_features: Whether the log holds the features too, which slices and the comparison of unlabelled rows need.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: "predicted" or "no champion".
        prediction_log: The predictions as Parquet, in the format of evergreen.performance.prediction_log.
        metrics: Number of rows, and the mean confidence of a classifier.
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
    """Join labels that came late to the predictions they belong to, and say whether the rows without a label differ.

    Args:
        prediction_log: What batch_predict or a model server wrote; may be absent.
        labels: Keys, labels, and the time at which each label became known; may be absent.
        key_column: Column of the labels that holds the predictions' keys.
        target_column: Column of the labels that holds the label; the result names it so too.
        timestamp_column: Name of the event time in the result.
        label_time_column: Column of the labels with the time at which each became known; "none" when there is none, and then the horizon is not checked.
        horizon_days: Labels that come later than so many days after the prediction are not used.
        as_of: Time as of which a missing label may still come, ISO; "latest" is the newest time in log and labels.
        policy_config: The retraining policy, whose section performance may set horizon_days; a horizon_days other than 30 given here wins.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: "joined", "no labels" or "no predictions".
        labelled_data: Every prediction with its features, its event time, its label where it has one, and what the log says, for monitor_performance.
        join_result: What was joined and what was left out, as JSON.
        join_report: The same as a page.
        metrics: The share of predictions that have a label.
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
    """Count what users said in a window, by who said it, for decide_retraining, and take out the labels that they corrected.

    Args:
        source_uri: File, folder, bucket, stream or database with the columns source, and kind or score; key and label where a label was corrected.
        timestamp_column: Column with the time at which it was said.
        window_end: End of the window, ISO; "latest" is the newest feedback.
        window_days: Length of the window in days.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: "feedback" or "no feedback".
        feedback: Numbers for each source, as JSON.
        corrections: Key, corrected label, source and time of each correction, as labels for join_labels; absent when there are none.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.performance.feedback import read_feedback_window, write_feedback

        found, corrected = read_feedback_window(source_uri, timestamp_column=timestamp_column, window_end=window_end, window_days=window_days)
        write_feedback(found, corrected, feedback=feedback, corrections=corrections)
        record.outcome = "feedback" if found.present else "no feedback"
        # A source may be a user: their names stay in the artifact.
        record.details = {"sentence": found.sentence, "rows": found.rows, "negative": found.negative, "sources": len(found.sources)}
        return record.outcome
