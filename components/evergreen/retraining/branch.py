"""The retraining branch, shared by pipelines that differ in how they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp import dsl

from evergreen.deployment.component import deploy_model
from evergreen.evaluation.component import evaluate_model
from evergreen.ingestion.component import ingest_data
from evergreen.pipeline.steps import LARGE
from evergreen.training.component import refit_model, train_model
from evergreen.validation.component import validate_data

if TYPE_CHECKING:
    from evergreen.pipeline.step_factory import StepFactory


def retrain(
    step: StepFactory,
    *,
    decision: Any,
    window_end: Any,
    champion: Any,
    champion_contract: Any,
    champion_version: Any,
    data_source_uri: Any,
    data_timestamp_column: Any,
    data_target_column: Any,
    data_label_delay_days: Any,
    data_excluded_columns: Any,
    data_contract: Any,
    model_name: Any,
    model_task: Any,
    policy_config: Any,
    policy_mode: Any,
    training_window_days: Any,
    training_estimator: Any,
    training_hyperparameters: Any,
    training_search: Any,
    training_seed: Any,
    evaluation_metric: Any,
    evaluation_margin: Any,
    evaluation_holdout_share: Any,
    deployment_targets: Any,
    deployment_approval: Any,
    state_tracking_uri: Any,
) -> None:
    """Add the steps that train a challenger, compare it with the champion, and promote it if it is better.

    Call it inside ``dsl.If``, in a function decorated with ``@dsl.pipeline``. The first five inputs come from the steps that decided; the others
    are the pipeline's parameters of the same names.

    Args:
        step: Factory of the pipeline's steps.
        decision: The decision written by ``decide_retraining`` or ``assess_model``.
        window_end: End of the monitored window, which is also the end of the training window; ``decision`` for the one in the decision.
        champion: The champion's model.
        champion_contract: The champion's data contract.
        champion_version: The version that the challenger would replace; ``evaluation`` for the one it was compared with.
        data_source_uri: File, folder, glob or URI of the data.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        data_label_delay_days: Days until labels are complete.
        data_excluded_columns: Columns to omit.
        data_contract: Inline data contract or its URI, or ``inferred``.
        model_name: Name of the registered model in MLflow.
        model_task: ``auto``, ``classification`` or ``regression``.
        policy_config: Inline policy or its URI, or ``default``.
        policy_mode: ``auto``, ``force`` or ``dry-run``.
        training_window_days: Length of the training window in days.
        training_estimator: Import path of a scikit-learn estimator, or ``auto``.
        training_hyperparameters: The estimator's hyperparameters as a JSON object.
        training_search: Inline hyperparameter search or its URI, or ``none``.
        training_seed: Random seed.
        evaluation_metric: Name of a scikit-learn scorer, ``module:function``, or ``auto``.
        evaluation_margin: How much better the challenger must be, in units of the metric.
        evaluation_holdout_share: Share of the newest training rows to hold out for the comparison.
        deployment_targets: Targets of a promoted model.
        deployment_approval: ``automatic`` or ``required``.
        state_tracking_uri: Address of the MLflow server.
    """
    training_data = step(
        "Ingest training data",
        ingest_data,
        source_uri=data_source_uri,
        timestamp_column=data_timestamp_column,
        window_end=window_end,
        window_days=training_window_days,
        label_delay_days=data_label_delay_days,
        excluded_columns=data_excluded_columns,
        model_name=model_name,
        decision=decision,
        size=LARGE,
    )
    valid_training_data = step(
        "Validate training data",
        validate_data,
        dataset=training_data.outputs["dataset"],
        champion_contract=champion_contract,
        contract=data_contract,
        target_column=data_target_column,
        timestamp_column=data_timestamp_column,
        task=model_task,
        size=LARGE,
    )
    challenger = step(
        "Train challenger",
        train_model,
        training_data=valid_training_data.outputs["validated_data"],
        target_column=data_target_column,
        timestamp_column=data_timestamp_column,
        model_name=model_name,
        tracking_uri=state_tracking_uri,
        task=model_task,
        estimator=training_estimator,
        hyperparameters=training_hyperparameters,
        search=training_search,
        champion=champion,
        decision=decision,
        metric=evaluation_metric,
        policy_config=policy_config,
        seed=training_seed,
        holdout_share=evaluation_holdout_share,
        size=LARGE,
    )
    evaluation = step(
        "Evaluate challenger",
        evaluate_model,
        challenger=challenger.outputs["model"],
        champion=champion,
        holdout_data=challenger.outputs["holdout_data"],
        metric=evaluation_metric,
        margin=evaluation_margin,
        policy_config=policy_config,
        decision=decision,
        model_name=model_name,
        seed=training_seed,
    )
    with dsl.If(evaluation.outputs["Output"] == "promote", name="Promote, because it is better"):
        refitted = step(
            "Refit challenger",
            refit_model,
            challenger=challenger.outputs["model"],
            training_data=valid_training_data.outputs["validated_data"],
            model_name=model_name,
            tracking_uri=state_tracking_uri,
            size=LARGE,
        )
        step(
            "Deploy model",
            deploy_model,
            model=refitted.outputs["model"],
            evaluation=evaluation.outputs["evaluation"],
            contract=valid_training_data.outputs["contract_used"],
            training_data=valid_training_data.outputs["validated_data"],
            model_name=model_name,
            tracking_uri=state_tracking_uri,
            expected_champion=champion_version,
            targets=deployment_targets,
            approval=deployment_approval,
            mode=policy_mode,
        )
