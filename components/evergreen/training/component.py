"""The components that make models: `train_model` and `refit_model`, and for a search in parallel `plan_search`, `score_candidates` and `choose_candidate`."""

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
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "train_model",
) -> str:
    """Fit a challenger on all but the newest rows and log it to MLflow.

    Args:
        training_data: Rows with features, label and event time.
        target_column: Name of the label's column; rows without a label are left out.
        timestamp_column: Name of the event time's column.
        model_name: Name of the registered model; the MLflow experiment is evergreen/<model_name>.
        tracking_uri: The MLflow server's address.
        task: auto, classification or regression.
        estimator: Import path of a scikit-learn estimator's class, or module:function of a trainer; auto is histogram gradient boosting.
        hyperparameters: JSON object of the estimator's hyperparameters; class_weight names classes by their text, as in {"0": 1, "1": 5}.
        search: none, or JSON or YAML (in line, or where it lies) such as {"n_iter": 10, "space": {"max_depth": [3, 6]}}; further entries are
            method (random, halving or optuna), splits (time, stratified or group), group_column, folds, seconds, patience and warm_start.
        seed: Seed of everything random.
        holdout_share: Share of the rows, the newest by event time, that is held out.
        policy_config: default, or the policy as YAML or JSON, in line or as the path or gs:// URI of a file; its section training holds
            recency_half_life_days, sample_rows and encoding.
        champion: The champion, for a search with warm_start.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: The challenger's id, a hash of data, recipe, seed and code version.
        model: The challenger as an MLflow model directory, preprocessing included.
        holdout_data: The newest rows, which the challenger has not seen.
        metrics: How many rows the challenger learned from.
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
        )
        trained = train_challenger(request, model=model, holdout_data=holdout_data, model_name=model_name, tracking_uri=tracking_uri)
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
    """Fit a challenger's recipe again on all rows, its holdout included: this is the model that goes out.

    Args:
        challenger: The challenger that passed; estimator, hyperparameters and seed come from it.
        training_data: The rows that the challenger came from.
        model_name: Name of the registered model; the MLflow experiment is evergreen/<model_name>.
        tracking_uri: The MLflow server's address.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: The refitted model's id.
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

    The candidates are those that train_model would try with the same search, in one step, before the same holdout.

    Args:
        training_data: Rows with features, label and event time.
        search: As for train_model, as JSON or YAML in line or its URI; with method random, without patience; seconds limits each parallel step.
        shards: Number of parallel steps; fewer are used when there are fewer candidates.
        target_column: Name of the label's column; rows without a label are left out.
        timestamp_column: Name of the event time's column.
        task: auto, classification or regression.
        estimator: Import path of a scikit-learn estimator's class; auto is histogram gradient boosting.
        hyperparameters: JSON object of the hyperparameters that are not searched.
        seed: Seed of everything random.
        holdout_share: Share of the rows, the newest by event time, that is held out; no candidate sees them.
        policy_config: default, or the policy, of which the section training is used.
        champion: The champion, for a search with warm_start.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: The numbers of the shards, from 0 on, for dsl.ParallelFor.
        plan: The candidates and what they are fitted with, as JSON.
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
    """Score one shard of a search's candidates by cross-validation; the holdout is not used.

    Args:
        training_data: The rows that plan_search had.
        plan: What plan_search made.
        shard: Number of the shard, from 0 on: of n shards it holds every n-th candidate.
        model_name: Name of the registered model; the MLflow experiment is evergreen/<model_name>.
        tracking_uri: The MLflow server that keeps the scores, so that a step that was killed goes on where it stood; none for nowhere.
        ledger_uri: Folder or bucket where the step reports; none for nowhere. In a loop, all shards would report under one name.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: Number of candidates that were tried.
        candidate_scores: Their scores, or why they could not be fitted, as JSON.
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
    """Choose the hyperparameters with the best score of all shards, the first of equals as in the search in one step.

    Args:
        plan: What plan_search made.
        candidate_scores: What score_candidates made of each shard.
        ledger_uri: Folder or bucket where the step reports; none for nowhere.
        run_id: The pipeline run's id.
        step_name: The step's name within the run.

    Returns:
        Output: The chosen hyperparameters, with those that were not searched, as a JSON object for train_model.
        trials: Every candidate with its state, score and shard, as JSON.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        import json

        from evergreen.training.search_shards import run_choose_step

        chosen = run_choose_step(plan=plan, candidate_scores=candidate_scores, trials=trials)
        record.outcome = f"candidate {chosen['number'] + 1}"
        record.details = chosen
        return json.dumps(chosen["hyperparameters"], sort_keys=True)
