"""The training components: `train_model` and `refit_model`; for parallel searches, `plan_search`, `score_candidates` and `choose_candidate`."""

from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def train_model(
    training_data: Input[Dataset],
    model: Output[Model],
    holdout_data: Output[Dataset],
    metrics: Output[Metrics],
    target_column: str,
    timestamp_column: str,
    model_name: str,
    tracking_uri: str,
    task: str = "auto",
    estimator: str = "auto",
    hyperparameters: str = "{}",
    search: str = "none",
    seed: int = 7,
    holdout_share: float = 0.2,
    policy_config: str = "default",
    champion: Input[Model] = None,
    decision: Input[Artifact] = None,
    metric: str = "auto",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "train_model",
) -> str:
    """Fit a challenger on all but the newest rows and log it to MLflow.

    Args:
        training_data: Rows with features, label and event time.
        target_column: Name of the label column; rows without a label are left out.
        timestamp_column: Name of the event time column.
        model_name: Name of the registered model; the MLflow experiment is evergreen/<model_name>.
        tracking_uri: Address of the MLflow server.
        task: auto, classification or regression.
        estimator: Import path of a scikit-learn estimator class, or module:function of a trainer; auto is histogram gradient boosting.
        hyperparameters: JSON object with the estimator's hyperparameters; class_weight takes classes as text, as in {"0": 1, "1": 5}.
        search: none, or inline JSON or YAML (or its path or URI) such as {"n_iter": 10, "space": {"max_depth": [3, 6]}}; further entries are
            method (random, halving or optuna), splits (time, stratified or group), group_column, folds, seconds, patience and warm_start.
        seed: Random seed.
        holdout_share: Share of the newest rows, by event time, to hold out.
        policy_config: The policy as inline YAML or JSON, or the path or gs:// URI of a file; default for the default policy. Its training section
            contains recency_half_life_days, sample_rows and encoding.
        champion: The champion. It is needed for a search with warm_start, and for choosing among training windows.
        decision: The decision of decide_retraining. If it says that the relation between inputs and label may have changed, the challenger is chosen
            among several training windows, with and without weights that fade with age, and former champions.
        metric: Name of the metric by which these are compared.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: ID of the challenger, a hash of data, recipe, seed and code version.
        model: The challenger as an MLflow model directory, including preprocessing.
        holdout_data: The newest rows, which the challenger has not seen.
        metrics: Number of rows that the challenger was fitted on.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.training.challenger import train_challenger
        from evergreen.training.request import TrainingRequest
        from evergreen.training.step import report

        request = TrainingRequest(
            training_data,
            target_column,
            timestamp_column,
            task,
            estimator,
            hyperparameters,
            search,
            seed,
            holdout_share,
            policy_config,
            champion,
            decision,
            metric,
        )
        trained = train_challenger(request, model=model, holdout_data=holdout_data, model_name=model_name, tracking_uri=tracking_uri, ledger_uri=ledger_uri)
        return report(trained, record, metrics)


@component(image=BASE_IMAGE)
def refit_model(
    challenger: Input[Model],
    training_data: Input[Dataset],
    model: Output[Model],
    model_name: str,
    tracking_uri: str,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "refit_model",
) -> str:
    """Refit a challenger's recipe on all rows, including its holdout, to produce the model to deploy.

    Args:
        challenger: The challenger that passed; it provides estimator, hyperparameters and seed.
        training_data: The rows that the challenger was trained from.
        model_name: Name of the registered model; the MLflow experiment is evergreen/<model_name>.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: ID of the refitted model.
        model: The model as an MLflow model directory.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.training.challenger import refit_challenger
        from evergreen.training.step import report

        trained = refit_challenger(challenger=challenger, training_data=training_data, model=model, model_name=model_name, tracking_uri=tracking_uri)
        return report(trained, record)


@component(image=BASE_IMAGE)
def plan_search(
    training_data: Input[Dataset],
    plan: Output[Artifact],
    search: str,
    shards: int,
    target_column: str,
    timestamp_column: str,
    task: str = "auto",
    estimator: str = "auto",
    hyperparameters: str = "{}",
    seed: int = 7,
    holdout_share: float = 0.2,
    policy_config: str = "default",
    champion: Input[Model] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "plan_search",
) -> list[int]:
    """Draw the candidates of a hyperparameter search whose scoring is divided among parallel steps.

    The candidates are the same that train_model would try in one step with the same search and the same holdout.

    Args:
        training_data: Rows with features, label and event time.
        search: Same as search of train_model, as inline JSON or YAML or its URI; requires method random without patience; seconds limits each step.
        shards: Number of parallel steps; fewer are used if there are fewer candidates.
        target_column: Name of the label column; rows without a label are left out.
        timestamp_column: Name of the event time column.
        task: auto, classification or regression.
        estimator: Import path of a scikit-learn estimator class; auto is histogram gradient boosting.
        hyperparameters: JSON object with the hyperparameters that are not searched.
        seed: Random seed.
        holdout_share: Share of the newest rows, by event time, to hold out; no candidate sees them.
        policy_config: default, or the policy, whose training section is used.
        champion: The champion, for a search with warm_start.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: The shard numbers, starting at 0, for dsl.ParallelFor.
        plan: The candidates and the settings for fitting them (JSON).
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.training.request import TrainingRequest
        from evergreen.training.search_plan import run_plan_step

        request = TrainingRequest(
            training_data,
            target_column,
            timestamp_column,
            task,
            estimator,
            hyperparameters,
            search,
            seed,
            holdout_share,
            policy_config,
            champion,
        )
        numbers = run_plan_step(request, plan=plan, shards=shards)
        record.outcome = f"{plan.metadata['candidates']} candidates in {len(numbers)} shards"
        return numbers


@component(image=BASE_IMAGE)
def score_candidates(
    training_data: Input[Dataset],
    plan: Input[Artifact],
    candidate_scores: Output[Artifact],
    shard: int,
    model_name: str = "none",
    tracking_uri: str = "none",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "score_candidates",
) -> int:
    """Score one shard of a search's candidates by cross-validation, without using the holdout.

    Args:
        training_data: The same rows as for plan_search.
        plan: The plan from plan_search.
        shard: Number of the shard, starting at 0; of n shards, each contains every n-th candidate.
        model_name: Name of the registered model; the MLflow experiment is evergreen/<model_name>.
        tracking_uri: MLflow server that stores the scores, so that a killed step can resume; none stores nothing.
        ledger_uri: Folder or bucket for the run records; none records nothing. In a loop, all shards would report under the same name.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: Number of candidates tried.
        candidate_scores: Their scores, or why they could not be fitted (JSON).
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.training.search_shards import run_score_step

        tried = run_score_step(
            training_data=training_data, plan=plan, candidate_scores=candidate_scores, shard=shard, tracking_uri=tracking_uri, model_name=model_name
        )
        record.outcome = f"{tried} candidates"
        return tried


@component(image=BASE_IMAGE)
def choose_candidate(
    plan: Input[Artifact],
    candidate_scores: Input[list[Artifact]],
    trials: Output[Artifact],
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "choose_candidate",
) -> str:
    """Choose the hyperparameters with the best score across all shards; ties go to the first, as in a search in one step.

    Args:
        plan: The plan from plan_search.
        candidate_scores: The scores from score_candidates, one artifact per shard.
        ledger_uri: Folder or bucket for the run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: The chosen hyperparameters, including those that were not searched, as a JSON object for train_model.
        trials: Every candidate with its state, score and shard (JSON).
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        import json

        from evergreen.training.search_shards import run_choose_step

        chosen = run_choose_step(plan=plan, candidate_scores=candidate_scores, trials=trials)
        record.outcome = f"candidate {chosen['number'] + 1}"
        record.details = chosen
        return json.dumps(chosen["hyperparameters"], sort_keys=True)
