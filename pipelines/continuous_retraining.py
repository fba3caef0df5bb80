"""Watch a deployed model; retrain, compare and promote when there is reason to.

docs/reference/pipelines.md holds the table of parameters for people.
"""

from kfp import dsl

from evergreen import decide_retraining, detect_drift, ingest_data, load_champion, monitor_performance, record_run, validate_data
from evergreen.pipeline.step_factory import StepFactory
from evergreen.retraining.branch import retrain


@dsl.pipeline(
    name="continuous-retraining",
    description="Keeps a deployed model fresh: watches drift and performance, retrains for a reason, and promotes a challenger only when it is better.",
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
        data_source_uri: File, folder, glob or URI of the events.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        model_name: Name of the registered model in MLflow.
        data_window_end: ``scheduled`` (the schedule's slot; without a schedule the newest data), ``latest``, or an ISO time.
        data_window_days: Length of the window that is watched, in days.
        data_label_delay_days: Days after which labels are complete.
        data_excluded_columns: Columns to leave out, separated by commas: keys, leaks. ``none`` for none.
        data_contract: Data contract as YAML in line or its URI; ``inferred`` takes the champion's, or infers one.
        model_task: ``auto``, ``classification`` or ``regression``.
        drift_config: Drift settings as JSON or YAML in line or their URI; ``default`` for the built-in ones.
        policy_config: Policy (when to retrain, how, and the gate) as JSON or YAML in line or its URI; ``default`` for the built-in one.
        policy_mode: ``auto``, ``force`` (retrain now) or ``dry-run`` (everything but the promotion).
        training_window_days: Days that a challenger learns from; more while performance holds, if the policy lets it (training_window).
        training_estimator: Import path of a scikit-learn estimator; ``auto`` is histogram gradient boosting.
        training_hyperparameters: The estimator's hyperparameters as a JSON object.
        training_search: Hyperparameter search as JSON or YAML, in line or its URI; ``none`` for none.
        training_seed: Seed of everything random.
        evaluation_metric: Name of a scikit-learn scorer, or ``module:function``; ``auto`` is accuracy, or mean absolute error for regression.
        evaluation_margin: How much better the challenger must be, in the metric's unit; negative allows non-inferiority.
        evaluation_holdout_share: Newest share of the training window, kept from fitting and used for the comparison.
        deployment_targets: Where a promoted model goes, separated by commas: ``registry``, ``gs://bucket/prefix``.
        deployment_approval: ``automatic``, or ``required`` to wait for a person.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret whose keys every step reads, from files. ``none`` for none.
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
