"""The step that loads the champion, with its run record; imports little, so that the record exists before the logic is imported."""

from __future__ import annotations

from typing import Any

from evergreen.runs.records import reported_step


def load_and_record(
    *,
    model: Any,
    reference_data: Any,
    contract: Any,
    baseline: Any,
    model_name: str,
    tracking_uri: str,
    ledger_uri: str,
    run_id: str,
    step_name: str,
) -> str:
    """Complete promotions that have been approved, then load the champion; return its version, or ``none``.

    Args:
        model: Output artifact for the model directory.
        reference_data: Output artifact for the reference sample.
        contract: Output artifact for the data contract.
        baseline: Output artifact for the baseline.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger and run records, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.

    Raises:
        StateError: The server or the ledger cannot be used.
        RegistryError: The champion is not in the registry, or was not registered by Evergreen.
    """
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.deployment.approval import finish_approved
        from evergreen.deployment.serving import reconcile_targets
        from evergreen.registry.champion import write_champion

        approved = finish_approved(model_name=model_name, tracking_uri=tracking_uri, ledger_uri=ledger_uri, run_id=run_id, step_name=step_name)
        champion = write_champion(
            tracking_uri=tracking_uri,
            ledger_uri=ledger_uri,
            model_name=model_name,
            model=model,
            reference_data=reference_data,
            contract=contract,
            baseline=baseline,
        )
        record.outcome = champion.version
        brought_back = reconcile_targets(model_name=model_name, tracking_uri=tracking_uri, ledger_uri=ledger_uri)
        record.details = {"champion_version": champion.version, "fit_end": champion.fit_end, "alias_repaired": champion.alias_repaired}
        record.details |= {"promoted_after_approval": [promotion.version for promotion in approved], "targets_repaired": brought_back}
        return champion.version
