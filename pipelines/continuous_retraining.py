"""Monitor a deployed model; retrain it, compare the models and promote the better one when there is a reason.

docs/reference/pipelines.md lists the parameters.
"""

from kfp import dsl

from evergreen import decide_retraining, detect_drift, ingest_data, load_champion, monitor_performance, record_run, validate_data
from evergreen.pipeline.step_factory import StepFactory
from evergreen.retraining.branch import retrain


@dsl.pipeline(
    name="continuous-retraining",
    description="Keeps a deployed model fresh: monitors drift and performance, retrains for a reason, and promotes a challenger only if it is better.",
)
def continuous_retraining(
    data_source_uri: str,
    data_timestamp_column: str,
    data_target_column: str,
    model_name: str,
    data_window_end: str = "scheduled",
    data_window_days: int = 30,
    data_label_delay_days: int = 0,
    data_excluded_columns: str = "none",
    data_contract: str = "inferred",
    model_task: str = "auto",
    drift_config: str = "default",
    policy_config: str = "default",
    policy_mode: str = "auto",
    training_window_days: int = 1825,
    training_estimator: str = "auto",
    training_hyperparameters: str = "{}",
    training_search: str = "none",
    training_seed: int = 7,
    evaluation_metric: str = "auto",
    evaluation_margin: float = 0.0,
    evaluation_holdout_share: float = 0.2,
    deployment_targets: str = "registry",
    deployment_approval: str = "automatic",
    state_tracking_uri: str = "none",
    state_ledger_uri: str = "none",
    secret_name: str = "none",
):
    """Keep a deployed model fresh.

    Args:
        data_source_uri: File, folder, glob or URI of the data.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        model_name: Name of the registered model in MLflow.
        data_window_end: ``scheduled`` (the schedule's slot, or the newest data without a schedule), ``latest``, or an ISO time.
        data_window_days: Length of the monitored window in days.
        data_label_delay_days: Days until labels are complete.
        data_excluded_columns: Columns to omit, such as keys or leaks, separated by commas; ``none`` for none.
        data_contract: Data contract as inline YAML or its URI; ``inferred`` uses the champion's contract, or infers one.
        model_task: ``auto``, ``classification`` or ``regression``.
        drift_config: Drift settings as inline JSON or YAML or their URI; ``default`` for the default settings.
        policy_config: Policy (when and how to retrain, and the gate) as inline JSON or YAML or its URI; ``default`` for the default policy.
        policy_mode: ``auto``, ``force`` (retrain now) or ``dry-run`` (everything except the promotion).
        training_window_days: Length of the training window in days; longer while performance holds, if the policy allows it (training_window).
        training_estimator: Import path of a scikit-learn estimator; ``auto`` is histogram gradient boosting.
        training_hyperparameters: The estimator's hyperparameters as a JSON object.
        training_search: Hyperparameter search as inline JSON or YAML or its URI; ``none`` for none.
        training_seed: Random seed.
        evaluation_metric: Name of a scikit-learn scorer, or ``module:function``; ``auto`` is accuracy, or mean absolute error for regression.
        evaluation_margin: How much better the challenger must be, in units of the metric; a negative margin allows non-inferiority.
        evaluation_holdout_share: Share of the newest training rows to hold out for the comparison.
        deployment_targets: Targets of a promoted model, separated by commas: ``registry``, ``gs://bucket/prefix``.
        deployment_approval: ``automatic``, or ``required`` to wait for a person's approval.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret that is mounted as files into every step; ``none`` for none.
    """
    step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
    with dsl.ExitHandler(step("Record run", record_run, model_name=model_name), name="Keep the model fresh"):
        champion = step("Load champion", load_champion, model_name=model_name, tracking_uri=state_tracking_uri)
        window = step(
            "Ingest window",
            ingest_data,
            source_uri=data_source_uri,
            timestamp_column=data_timestamp_column,
            window_end=data_window_end,
            schedule_time=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
            window_days=data_window_days,
            excluded_columns=data_excluded_columns,
            model_name=model_name,
        )
        valid_window = step(
            "Validate window",
            validate_data,
            dataset=window.outputs["dataset"],
            champion_contract=champion.outputs["contract"],
            contract=data_contract,
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            task=model_task,
            check_target_classes=False,
        )
        drift = step(
            "Detect drift",
            detect_drift,
            reference_data=champion.outputs["reference_data"],
            current_data=valid_window.outputs["validated_data"],
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            model=champion.outputs["model"],
            config=drift_config,
        )
        performance = step(
            "Monitor performance",
            monitor_performance,
            model=champion.outputs["model"],
            baseline=champion.outputs["baseline"],
            current_data=valid_window.outputs["validated_data"],
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            label_delay_days=data_label_delay_days,
            policy_config=policy_config,
            reference_data=champion.outputs["reference_data"],
        )
        decision = step(
            "Decide retraining",
            decide_retraining,
            drift_result=drift.outputs["drift_result"],
            performance_result=performance.outputs["performance_result"],
            baseline=champion.outputs["baseline"],
            policy_config=policy_config,
            mode=policy_mode,
            window_end=window.outputs["Output"],
            model_name=model_name,
            validation=valid_window.outputs["Output"],
        )
        with dsl.If(decision.outputs["Output"] == "retrain", name="Retrain, because there is reason to"):
            retrain(
                step,
                decision=decision.outputs["decision"],
                window_end=window.outputs["Output"],
                champion=champion.outputs["model"],
                champion_contract=champion.outputs["contract"],
                champion_version=champion.outputs["Output"],
                data_source_uri=data_source_uri,
                data_timestamp_column=data_timestamp_column,
                data_target_column=data_target_column,
                data_label_delay_days=data_label_delay_days,
                data_excluded_columns=data_excluded_columns,
                data_contract=data_contract,
                model_name=model_name,
                model_task=model_task,
                policy_config=policy_config,
                policy_mode=policy_mode,
                training_window_days=training_window_days,
                training_estimator=training_estimator,
                training_hyperparameters=training_hyperparameters,
                training_search=training_search,
                training_seed=training_seed,
                evaluation_metric=evaluation_metric,
                evaluation_margin=evaluation_margin,
                evaluation_holdout_share=evaluation_holdout_share,
                deployment_targets=deployment_targets,
                deployment_approval=deployment_approval,
                state_tracking_uri=state_tracking_uri,
            )
