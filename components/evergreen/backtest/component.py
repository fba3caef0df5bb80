"""The components that replay policies: `replay_policy` and `report_backtest`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def replay_policy(
    history: Input[Dataset],
    replay: Output[Artifact],
    target_column: str,
    timestamp_column: str,
    policy: str = "default",
    window_days: int = 30,
    start_days: int = 90,
    training_window_days: int = 1825,
    label_delay_days: int = 0,
    estimator: str = "auto",
    metric: str = "auto",
    margin: float = 0.0,
    seed: int = 7,
    changes: str = "none",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "replay_policy",
) -> str:
    """Replay one retraining policy over history, window by window, without look-ahead.

    Args:
        history: All rows, with features, label and event time.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        policy: never, always (refit after every window, without a gate), best fixed window (the same with the training window that is best in
            hindsight), since every change (the same on the rows since the last of the changes), default, or a policy as inline YAML or JSON, or its
            path or URI.
        window_days: Length of the windows in days.
        start_days: Number of days at the start on which the first model is fitted.
        training_window_days: Length of the training window in days.
        label_delay_days: Days until labels are known.
        estimator: Import path of the estimator.
        metric: Name of a scikit-learn scorer; auto is accuracy or the negated mean absolute error.
        margin: The gate's margin in units of the metric; a negative margin allows non-inferiority.
        seed: Random seed.
        changes: Times at which the relation between inputs and label changed, ISO, separated by commas; only since every change knows them.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: Name of the policy: never, always, best fixed window, since every change, default, the name of the file, or the policy itself if given inline.
        replay: Score, retraining and promotion of every window (JSON).
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.backtest.step import replay_step

        made = replay_step(
            history=history,
            replay=replay,
            policy=policy,
            target_column=target_column,
            timestamp_column=timestamp_column,
            window_days=window_days,
            start_days=start_days,
            training_window_days=training_window_days,
            label_delay_days=label_delay_days,
            estimator=estimator,
            metric=metric,
            margin=margin,
            seed=seed,
            changes=changes,
        )
        record.outcome = made.name
        record.details = {"mean_metric": made.mean_metric, "retrains": made.retrains, "promotions": made.promotions, "seconds": made.seconds}
        return made.name


@component(image=BASE_IMAGE)
def report_backtest(
    replays: Input[list[Artifact]],
    backtest_report: Output[HTML],
    metrics: Output[Metrics],
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "report_backtest",
) -> str:
    """Combine the replays of several policies in one report.

    Args:
        replays: Replays from replay_policy, one per policy, including never and always.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: The comparison, one sentence per policy.
        backtest_report: HTML report with scores over time, the benefit of retrainings, and every retraining with its reason.
        metrics: Mean score and number of retrainings of each policy.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.backtest.step import report_step

        sentence = report_step(replays=replays, backtest_report=backtest_report, metrics=metrics)
        record.outcome = sentence
        record.reports = {"backtest_report": backtest_report.uri}
        return sentence
