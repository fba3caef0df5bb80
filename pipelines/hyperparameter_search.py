"""A hyperparameter search that scores candidates in parallel steps and fits a model with the best one."""

from kfp import dsl

from evergreen import choose_candidate, ingest_data, load_champion, plan_search, record_run, score_candidates, train_model
from evergreen.pipeline.step_factory import StepFactory
from evergreen.pipeline.steps import LARGE


@dsl.pipeline(
    name="hyperparameter-search",
    description="Searches hyperparameters in parallel shards, chooses the same candidate as a single step would, and fits a challenger with it.",
)
def hyperparameter_search(
    data_source_uri: str,
    data_timestamp_column: str,
    data_target_column: str,
    model_name: str,
    training_search: str,
    data_window_end: str = "scheduled",
    data_excluded_columns: str = "none",
    model_task: str = "auto",
    training_window_days: int = 1825,
    training_estimator: str = "auto",
    training_hyperparameters: str = "{}",
    training_seed: int = 7,
    evaluation_holdout_share: float = 0.2,
    policy_config: str = "default",
    shards: int = 4,
    state_tracking_uri: str = "none",
    state_ledger_uri: str = "none",
    secret_name: str = "none",
):
    """Search hyperparameters in parallel and fit a challenger with the best candidate.

    Args:
        data_source_uri: File, folder, glob or URI of the data.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        model_name: Name of the registered model in MLflow.
        training_search: Hyperparameter search with method random as inline JSON or YAML or its URI; its ``seconds`` apply to each shard.
        data_window_end: ``scheduled`` (the schedule's slot, or the newest data without a schedule), ``latest``, or an ISO time.
        data_excluded_columns: Columns to omit, such as keys or leaks, separated by commas; ``none`` for none.
        model_task: ``auto``, ``classification`` or ``regression``.
        training_window_days: Length of the training window in days.
        training_estimator: Import path of a scikit-learn estimator; ``auto`` is histogram gradient boosting.
        training_hyperparameters: Hyperparameters that are not searched, as a JSON object.
        training_seed: Random seed.
        evaluation_holdout_share: Share of the newest training rows to hold out from both search and fit.
        policy_config: Policy as inline JSON or YAML or its URI, of which only the ``training`` section is used; ``default`` for the default policy.
        shards: Number of parallel steps.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret that is mounted as files into every step; ``none`` for none.
    """
    step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
    with dsl.ExitHandler(step("Record run", record_run, model_name=model_name), name="Search hyperparameters"):
        champion = step("Load champion", load_champion, model_name=model_name, tracking_uri=state_tracking_uri)
        training_window = step(
            "Ingest training data",
            ingest_data,
            source_uri=data_source_uri,
            timestamp_column=data_timestamp_column,
            window_end=data_window_end,
            schedule_time=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
            window_days=training_window_days,
            excluded_columns=data_excluded_columns,
            size=LARGE,
        )
        planned = step(
            "Plan search",
            plan_search,
            training_data=training_window.outputs["dataset"],
            search=training_search,
            shards=shards,
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            task=model_task,
            estimator=training_estimator,
            hyperparameters=training_hyperparameters,
            champion=champion.outputs["model"],
            policy_config=policy_config,
            seed=training_seed,
            holdout_share=evaluation_holdout_share,
            size=LARGE,
        )
        with dsl.ParallelFor(planned.outputs["Output"], name="Score candidates, shard by shard") as shard:
            scored = step(
                "Score candidates",
                score_candidates,
                training_data=training_window.outputs["dataset"],
                plan=planned.outputs["plan"],
                shard=shard,
                model_name=model_name,
                tracking_uri=state_tracking_uri,
                reports=False,
                size=LARGE,
            )
        chosen = step(
            "Choose candidate",
            choose_candidate,
            plan=planned.outputs["plan"],
            candidate_scores=dsl.Collected(scored.outputs["candidate_scores"]),
        )
        step(
            "Train challenger",
            train_model,
            training_data=training_window.outputs["dataset"],
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            model_name=model_name,
            tracking_uri=state_tracking_uri,
            task=model_task,
            estimator=training_estimator,
            hyperparameters=chosen.outputs["Output"],
            policy_config=policy_config,
            seed=training_seed,
            holdout_share=evaluation_holdout_share,
            size=LARGE,
        )
