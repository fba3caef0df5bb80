"""A challenger that passed the gate, with everything needed for its promotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.deployment.errors import DeploymentError
from evergreen.models.files import load_model

if TYPE_CHECKING:
    from evergreen.data.artifacts import ModelDescription
    from evergreen.models.fitted import FittedModel
    from evergreen.results.evaluation import Evaluation


@dataclass(frozen=True)
class PassedChallenger:
    """A challenger and the gate's evidence for it.

    Attributes:
        model: The refitted model.
        model_id: Its ID in MLflow (``m-...``).
        mlflow_run_id: ID of the MLflow run that produced it, or empty.
        evaluation: The gate's evaluation.
        contract_path: Path of the data contract of its training data (YAML).
        training_data: Artifact with the rows that it was fitted on.
    """

    model: FittedModel
    model_id: str
    mlflow_run_id: str
    evaluation: Evaluation
    contract_path: str
    training_data: Any

    @property
    def description(self) -> ModelDescription:
        """The description of the model."""
        return self.model.description

    @property
    def model_uri(self) -> str:
        """URI of the model in MLflow."""
        return f"models:/{self.model_id}"


def read_challenger(*, model: Any, evaluation: Evaluation, contract_path: str, training_data: Any) -> PassedChallenger:
    """Read a challenger from its artifacts.

    Raises:
        DeploymentError: The challenger did not pass the gate, or is not in MLflow.
        ModelError: The model cannot be loaded.
    """
    if evaluation.verdict != "promote":
        raise DeploymentError(f"evaluation: the verdict is {evaluation.verdict!r}; expected 'promote'. Only a challenger that passed the gate can be deployed.")
    model_uri = str(model.metadata.get("model_uri", ""))
    if not model_uri.startswith("models:/m-"):
        raise DeploymentError(f"model: model_uri in its metadata is {model_uri!r}; expected models:/m-..., as written by train_model and refit_model.")
    return PassedChallenger(
        model=load_model(model.path),
        model_id=model_uri.removeprefix("models:/"),
        mlflow_run_id=str(model.metadata.get("mlflow_run_id", "")),
        evaluation=evaluation,
        contract_path=contract_path,
        training_data=training_data,
    )
