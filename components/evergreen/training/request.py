"""What a training step is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingRequest:
    """Data and parameters of a challenger, as the component `train_model` describes them.

    Attributes:
        training_data: Dataset artifact.
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        task: ``auto``, ``classification`` or ``regression``.
        estimator: Import path of an estimator's class or of a trainer, or ``auto``.
        hyperparameters: JSON object.
        search: ``none``, or a search over hyperparameters as JSON or YAML.
        seed: Seed of everything random.
        holdout_share: Share of the rows, the newest, that is held out.
        policy_config: The policy parameter.
        champion: The champion's model artifact, for a search with ``warm_start``; may be absent.
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
