"""The component `deploy_model`."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def deploy_model(
    model: Input[Model],
    evaluation: Input[Artifact],
    contract: Input[Artifact],
    training_data: Input[Dataset],
    deployment: Output[Artifact],
    model_name: str,
    tracking_uri: str,
    expected_champion: str,
    targets: str = "registry",
    approval: str = "automatic",
    mode: str = "auto",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "deploy_model",
) -> str:
    """Register a challenger that passed the gate, test the registered copy, and promote it.

    The promotion is a compare-and-set on the ledger: it fails without changing anything if the champion is no longer the one
    that the challenger was compared with. Repeating the step has no further effect.

    Args:
        model: The model to promote, as written by refit_model.
        evaluation: The evaluation from evaluate_model; its verdict must be "promote".
        contract: The data contract of the training data.
        training_data: The rows that the model was fitted on; a sample becomes the reference data for drift.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.
        expected_champion: The version that the challenger was compared with, as returned by load_champion; "none" if there was none; "evaluation" for
            the version recorded in the evaluation.
        targets: Comma-separated serving targets: "registry", "gs://bucket/prefix".
        approval: "automatic", or "required" to register the version and wait for a person's approval.
        mode: "auto", "force", or "dry-run" to register nothing.
        ledger_uri: Folder or bucket for the ledger and run records.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "promoted", "already champion", "waiting for approval" or "dry run".
        deployment: Version, champion before and after, checks and the number of the ledger record (JSON).
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from dataclasses import asdict

        from evergreen.data.artifacts import read_json, write_json
        from evergreen.deployment.challenger import read_challenger
        from evergreen.deployment.errors import DeploymentError
        from evergreen.deployment.promotion import promote
        from evergreen.deployment.request import PromotionRequest, compared_champion
        from evergreen.results.evaluation import Evaluation

        found = Evaluation.from_json(read_json(evaluation.path), source=f"evaluation {evaluation.path}", error=DeploymentError)
        challenger = read_challenger(model=model, evaluation=found, contract_path=contract.path, training_data=training_data)
        request = PromotionRequest(model_name, compared_champion(expected_champion, found), targets, approval, mode, run_id, step_name)
        result = promote(challenger, request, tracking_uri=tracking_uri, ledger_uri=ledger_uri)
        write_json(deployment.path, result)
        record.outcome = result.outcome
        record.details = asdict(result)
        return result.outcome


@component(image=BASE_IMAGE)
def roll_back_model(
    rollback: Output[Artifact],
    model_name: str,
    reason: str,
    tracking_uri: str,
    to_version: str = "previous",
    from_version: str = "none",
    targets: str = "default",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "roll_back_model",
) -> str:
    """Make a previous champion the champion again, including in serving, and prevent the bad version from being promoted again.

    The rollback is a compare-and-set on the ledger. Repeating the step has no further effect.

    Args:
        model_name: Name of the registered model.
        reason: Reason for the rollback, recorded in the ledger.
        tracking_uri: Address of the MLflow server.
        to_version: A previous champion; "previous" for the last one that was not rolled back.
        from_version: The bad version; nothing happens if it is not the champion. "none" rolls back the current champion.
        targets: Comma-separated serving targets; "default" for the targets of the champion's promotion.
        ledger_uri: Folder or bucket for the ledger and run records.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "rolled back" or "already rolled back".
        rollback: The bad version, the current champion, the reason and the number of the ledger record (JSON).
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from dataclasses import asdict

        from evergreen.data.artifacts import write_json
        from evergreen.deployment.rollback import RollbackRequest, roll_back

        request = RollbackRequest(model_name, reason, to_version, from_version, targets, "pipeline", run_id, step_name)
        result = roll_back(request, tracking_uri=tracking_uri, ledger_uri=ledger_uri)
        write_json(rollback.path, result)
        record.outcome = result.outcome
        record.details = asdict(result)
        return result.outcome


@component(image=BASE_IMAGE)
def load_champion(
    model: Output[Model],
    reference_data: Output[Dataset],
    contract: Output[Artifact],
    baseline: Output[Artifact],
    model_name: str,
    tracking_uri: str,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "load_champion",
) -> str:
    """Load the champion with everything that was registered with it.

    The champion is the version named in the ledger; a registry alias or bucket pointer that refers to another version is moved.
    A version that has been approved in the meantime is promoted first.
    If there is no champion, all outputs are still written, with the metadata entry "present" set to false.

    Args:
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger and run records; "none" relies on the alias alone.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: The champion's version, or "none".
        model: The champion as an MLflow model directory.
        reference_data: A sample of the rows that the champion was fitted on.
        contract: The champion's data contract (YAML).
        baseline: The champion's score with its interval, features, importances and the event time of its newest row (JSON).
    """
    from evergreen.deployment.recorded_step import load_and_record

    return load_and_record(
        model=model,
        reference_data=reference_data,
        contract=contract,
        baseline=baseline,
        model_name=model_name,
        tracking_uri=tracking_uri,
        ledger_uri=ledger_uri,
        run_id=run_id,
        step_name=step_name,
    )
