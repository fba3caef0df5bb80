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
    """Register a challenger that passed the gate, try the registered copy, and promote it.

    The promotion is a compare-and-set on the ledger: it fails, and changes nothing, when the champion is no longer the one
    that the challenger was compared with. A repeated step changes nothing more.

    Args:
        model: The model to promote, as refit_model wrote it.
        evaluation: What evaluate_model found; its verdict must be "promote".
        contract: The data contract of the training data.
        training_data: The rows that the model was fitted on; a sample becomes the reference for drift.
        model_name: Name of the registered model.
        tracking_uri: The MLflow server's address.
        expected_champion: The version that the challenger was compared with, as load_champion returned it; "none" for none; "evaluation" for the one
            that the evaluation names.
        targets: Where the model goes, separated by commas: "registry", "gs://bucket/prefix".
        approval: "automatic", or "required" to register the version and wait for a person.
        mode: "auto", "force", or "dry-run" to register nothing.
        ledger_uri: Folder or bucket of the ledger and of the run records.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: "promoted", "already champion", "waiting for approval" or "dry run".
        deployment: Version, champion before and after, checks and the number of the ledger's record, JSON.
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
    """Make a former champion the champion again, serving included, and see that the bad version is not promoted again.

    The rollback is a compare-and-set on the ledger. A repeated step changes nothing more.

    Args:
        model_name: Name of the registered model.
        reason: Why, for the ledger.
        tracking_uri: The MLflow server's address.
        to_version: A former champion; "previous" for the last one that was not rolled back.
        from_version: The bad version; nothing is done when it is not the champion. "none" takes the champion, whoever it is.
        targets: Where the model is served, separated by commas; "default" for where the champion was promoted to.
        ledger_uri: Folder or bucket of the ledger and of the run records.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: "rolled back" or "already rolled back".
        rollback: The bad version, the champion now, the reason and the number of the ledger's record, JSON.
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

    The champion is the version that the ledger names; where the registry's alias or a bucket's pointer names another, it is moved.
    A version that a person has approved meanwhile is promoted first.
    Without a champion every output is written all the same, with the metadata entry "present" false.

    Args:
        model_name: Name of the registered model.
        tracking_uri: The MLflow server's address.
        ledger_uri: Folder or bucket of the ledger and of the run records; "none" goes by the alias alone.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: The champion's version, or "none".
        model: The champion as an MLflow model directory.
        reference_data: A sample of the rows that it was fitted on.
        contract: Its data contract, YAML.
        baseline: Its score with interval, features, importances, and the event time up to which it has seen rows, JSON.
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
