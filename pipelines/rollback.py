"""Roll back the champion: the last good version serves again, without training."""

from kfp import dsl

from evergreen import roll_back_model
from evergreen.pipeline.step_factory import StepFactory


@dsl.pipeline(
    name="rollback",
    description="Makes a previous champion the champion again, including in serving, and marks the bad version so that it is not promoted again.",
)
def rollback(
    model_name: str,
    rollback_reason: str,
    rollback_to_version: str = "previous",
    rollback_from_version: str = "none",
    deployment_targets: str = "default",
    state_tracking_uri: str = "none",
    state_ledger_uri: str = "none",
    secret_name: str = "none",
):
    """Roll back the champion.

    Args:
        model_name: Name of the registered model in MLflow.
        rollback_reason: Reason, for the ledger.
        rollback_to_version: A previous champion; ``previous`` for the last one that was not rolled back.
        rollback_from_version: The bad version; if it is not the champion, nothing is done. ``none`` rolls back the current champion.
        deployment_targets: Serving targets, separated by commas; ``default`` for those that the champion was promoted to.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret that is mounted as files into every step; ``none`` for none.
    """
    step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
    step(
        "Roll back model",
        roll_back_model,
        model_name=model_name,
        reason=rollback_reason,
        tracking_uri=state_tracking_uri,
        to_version=rollback_to_version,
        from_version=rollback_from_version,
        targets=deployment_targets,
    )
