"""A challenger that passed the gate, with everything that its promotion needs."""

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
    """A challenger and the evidence of the gate.

    Attributes:
        model: The refitted model.
        model_id: Its id in MLflow (``m-...``).
        mlflow_run_id: The MLflow run that made it, or empty.
        evaluation: What the gate found.
        contract_path: The data contract of its training data, YAML.
        training_data: Artifact of the rows that it was fitted on.
    """

    model: FittedModel
    model_id: str
    mlflow_run_id: str
    evaluation: Evaluation
    contract_path: str
    training_data: Any

    @property
    def description(self) -> ModelDescription:
        """What is known of the model."""
        return self.model.description

    @property
    def model_uri(self) -> str:
        """The model in MLflow."""
        return f"models:/{self.model_id}"


def read_challenger(*, model: Any, evaluation: Evaluation, contract_path: str, training_data: Any) -> PassedChallenger:
    """Read a challenger from its artifacts.

    Raises:
        DeploymentError: It did not pass the gate, or is not in MLflow.
        ModelError: The model cannot be loaded.
    """
    if evaluation.verdict != "promote":
        raise DeploymentError(
            f"evaluation: its verdict is {evaluation.verdict!r}; expected 'promote'. A challenger that did not pass the gate is not deployed."
        )
    model_uri = str(model.metadata.get("model_uri", ""))
    if not model_uri.startswith("models:/m-"):
        raise DeploymentError(f"model: its metadata names model_uri {model_uri!r}; expected models:/m-..., as train_model and refit_model write it.")
    return PassedChallenger(
        model=load_model(model.path),
        model_id=model_uri.removeprefix("models:/"),
        mlflow_run_id=str(model.metadata.get("mlflow_run_id", "")),
        evaluation=evaluation,
        contract_path=contract_path,
        training_data=training_data,
    )
