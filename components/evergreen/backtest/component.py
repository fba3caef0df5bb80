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
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "replay_policy",
) -> str:
    """Replay one retraining policy over history, window by window, without any look ahead.

    Args:
        history: All rows, with features, label and event time.
        target_column: Name of the label's column.
        timestamp_column: Name of the event time's column.
        policy: never, always (refitted after every window, without a gate), default, or a policy as YAML or JSON, in line or its path or URI.
        window_days: Length of the windows.
        start_days: The first days, which the first model is fitted on.
        training_window_days: Length of the window that is learned from.
        label_delay_days: Labels are known after so many days.
        estimator: Import path of the estimator.
        metric: A scikit-learn scorer's name; auto is accuracy or the negated mean absolute error.
        margin: The gate's margin, in the metric's unit; negative allows non-inferiority.
        seed: Seed of everything random.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: The policy's name: never, always, default, the file's name, or the policy itself where it was given in line.
        replay: Score, retraining and promotion of every window, as JSON.
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
    """Bring replays of several policies together in one report.

    Args:
        replays: What replay_policy made for each policy, never and always among them.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: The comparison in a sentence for each policy.
        backtest_report: Scores over time, what retrainings buy, and every retraining with its reason.
        metrics: Mean score and number of retrainings of each policy.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.backtest.step import report_step

        sentence = report_step(replays=replays, backtest_report=backtest_report, metrics=metrics)
        record.outcome = sentence
        record.reports = {"backtest_report": backtest_report.uri}
        return sentence
