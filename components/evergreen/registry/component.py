"""The component `keep_champion`."""

from kfp.dsl import Artifact, Input

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def keep_champion(
    evidence: Input[Artifact],
    reason: str,
    model_name: str,
    champion_version: str,
    tracking_uri: str = "none",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "keep_champion",
) -> str:
    """Record in the ledger that the champion is kept, with the evidence.

    decide_retraining and evaluate_model record this themselves if they are given the model's name; it is not recorded twice.

    Args:
        evidence: The JSON of decide_retraining (no reason to retrain) or of evaluate_model (the challenger was rejected).
        reason: Short reason for keeping the champion.
        model_name: Name of the registered model.
        champion_version: The champion's version found by the run, or "none".
        tracking_uri: Address of the MLflow server, to move the alias "champion" to the version in the ledger; "none" skips this.
        ledger_uri: Folder or bucket for the ledger and run records; "none" records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "kept", or "rejection" if a challenger was rejected.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.registry.keeping import record_kept_champion

        kind, written = record_kept_champion(
            reason=reason,
            model_name=model_name,
            champion_version=champion_version,
            evidence_path=evidence.path,
            tracking_uri=tracking_uri,
            ledger_uri=ledger_uri,
            run_id=run_id,
            step_name=step_name,
            found_before=True,
        )
        record.outcome = kind
        record.details = {"champion_version": champion_version, "ledger_record": written.number if written else None}
        return kind
