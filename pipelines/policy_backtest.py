"""Which retraining policy would have worked best: replays history for each policy in parallel."""

from kfp import dsl

from evergreen import ingest_data, replay_policy, report_backtest
from evergreen.pipeline.step_factory import StepFactory
from evergreen.pipeline.steps import LARGE


@dsl.pipeline(
    name="policy-backtest",
    description="Replays retraining policies on history, each in its own step, and compares them with never retraining and retraining in every window.",
)
def policy_backtest(
    data_source_uri: str,
    data_timestamp_column: str,
    data_target_column: str,
    data_window_end: str = "scheduled",
    data_history_days: int = 36500,
    data_window_days: int = 30,
    data_label_delay_days: int = 0,
    data_excluded_columns: str = "none",
    policy_configs: list[str] = ["never", "always", "default"],  # noqa: B006 - KFP copies the default of a list
    policy_known_changes: str = "none",
    training_start_days: int = 90,
    training_window_days: int = 1825,
    training_estimator: str = "auto",
    training_seed: int = 7,
    evaluation_metric: str = "auto",
    evaluation_margin: float = 0.0,
    state_ledger_uri: str = "none",
    secret_name: str = "none",
):
    """Compare retraining policies on history.

    Args:
        data_source_uri: File, folder, glob or URI of the data.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        data_window_end: End of the history: ``scheduled`` (the schedule's slot, or the newest data without a schedule), ``latest``, or an ISO time.
        data_history_days: Length of the history in days.
        data_window_days: Length of each window in days.
        data_label_delay_days: Days until labels are complete.
        data_excluded_columns: Columns to omit, such as keys or leaks, separated by commas; ``none`` for none.
        policy_configs: Policies to replay: ``never``, ``always``, ``best fixed window``, ``since every change``, ``default``, or inline policies or their
            URIs. Must include ``never`` and ``always``.
        policy_known_changes: Times at which the relation between inputs and label changed, ISO, separated by commas, for ``since every change``.
        training_start_days: Number of days at the start of the history that the first model is fitted on.
        training_window_days: Length of the training window in days.
        training_estimator: Import path of a scikit-learn estimator; ``auto`` is histogram gradient boosting.
        training_seed: Random seed.
        evaluation_metric: Name of a scikit-learn scorer.
        evaluation_margin: The gate's margin, in units of the metric.
        state_ledger_uri: Folder or bucket for the run records; ``none`` to record nothing.
        secret_name: Kubernetes secret that is mounted as files into every step; ``none`` for none.
    """
    step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
    history = step(
        "Ingest history",
        ingest_data,
        source_uri=data_source_uri,
        timestamp_column=data_timestamp_column,
        window_end=data_window_end,
        schedule_time=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
        window_days=data_history_days,
        excluded_columns=data_excluded_columns,
        size=LARGE,
    )
    with dsl.ParallelFor(policy_configs, name="Replay every policy") as policy:
        replayed = step(
            "Replay policy",
            replay_policy,
            history=history.outputs["dataset"],
            policy=policy,
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            window_days=data_window_days,
            start_days=training_start_days,
            training_window_days=training_window_days,
            label_delay_days=data_label_delay_days,
            estimator=training_estimator,
            metric=evaluation_metric,
            margin=evaluation_margin,
            seed=training_seed,
            changes=policy_known_changes,
            reports=False,
            size=LARGE,
        )
    step("Report backtest", report_backtest, replays=dsl.Collected(replayed.outputs["replay"]))
