"""Inputs of a training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingRequest:
    """Data and parameters of a challenger, as described by the component `train_model`.

    Attributes:
        training_data: Dataset artifact.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        task: ``auto``, ``classification`` or ``regression``.
        estimator: Import path of an estimator class or of a trainer, or ``auto``.
        hyperparameters: The estimator's hyperparameters as a JSON object.
        search: ``none``, or a hyperparameter search as JSON or YAML.
        seed: Random seed.
        holdout_share: Share of the newest rows to hold out.
        policy_config: The ``policy_config`` parameter.
        champion: The champion's model artifact; may be absent.
        decision: The decision to train, which says whether to choose the rows to learn from; may be absent.
        metric: Name of the metric by which candidates are compared.
    """

    training_data: Any
    target_column: str
    timestamp_column: str
    task: str = "auto"
    estimator: str = "auto"
    hyperparameters: str = "{}"
    search: str = "none"
    seed: int = 7
    holdout_share: float = 0.2
    policy_config: str = "default"
    champion: Any = None
    decision: Any = None
    metric: str = "auto"
