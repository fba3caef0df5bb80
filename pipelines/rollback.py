"""Take the champion back: the last good version serves again, without training."""

from kfp import dsl

from evergreen import roll_back_model
from evergreen.pipeline.step_factory import StepFactory


@dsl.pipeline(
    name="rollback",
    description="Makes a former champion the champion again, serving included, and marks the bad version so that it is not promoted again.",
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
    """Take the champion back.

    Args:
        model_name: Name of the registered model in MLflow.
        rollback_reason: Why, for the ledger.
        rollback_to_version: A former champion; ``previous`` for the last one that was not rolled back.
        rollback_from_version: The bad version; nothing is done when it is not the champion. ``none`` takes the champion, whoever it is.
        deployment_targets: Where the model is served, separated by commas; ``default`` for where the champion was promoted to.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret whose keys every step reads, from files. ``none`` for none.
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
