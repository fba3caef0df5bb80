"""Trains a registered model again from its records and compares the predictions of both models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.models.files import load_model
from evergreen.models.fitted import FittedModel
from evergreen.storage.local_paths import check_local_uri
from evergreen.training.errors import TrainingError
from evergreen.training.fit import fit_recipe
from evergreen.training.recipe import Recipe
from evergreen.training.settings import TrainingSettings, recency_weights
from evergreen.training.training_rows import read_training_rows

if TYPE_CHECKING:
    from evergreen.data.artifacts import ModelDescription

MOST_COMPARED = 10_000


@dataclass(frozen=True)
class Reproduction:
    """The comparison of a reproduced model with the registered one.

    Attributes:
        rows_fitted: Number of rows both were fitted on.
        rows_compared: Number of rows both predicted.
        different: Number of those with a different prediction.
        largest_difference: Largest difference in a probability, or in a predicted number.
        data: Location of the rows.
    """

    rows_fitted: int
    rows_compared: int
    different: int
    largest_difference: float
    data: str

    @property
    def same(self) -> bool:
        """Whether all predictions are the same, with probabilities identical except for rounding."""
        return self.different == 0 and self.largest_difference <= 1e-9


def reproduce(*, model_name: str, version: str, tracking_uri: str, data: str = "") -> Reproduction:
    """Train a registered version again and compare predictions.

    Args:
        model_name: Name of the registered model.
        version: Its version.
        tracking_uri: Address of the MLflow server.
        data: The dataset it was trained on; empty for its recorded location.

    Raises:
        TrainingError: The dataset is gone or is not the one that the model was fitted on.
        RegistryError: The version does not exist.
    """
    from evergreen.registry.versions import ModelRegistry

    with ModelRegistry(tracking_uri, model_name).fetched(version) as folder:
        registered = load_model(folder)
    description = registered.description
    location = data or description.training_data_uri
    check_local_uri(location, thing=f"training data {location!r}", error_class=TrainingError)
    if not location or not Path(location).exists():
        where = f"{location!r} does not exist" if location else "its location was not recorded"
        raise TrainingError(f"training data of {model_name} version {version}: {where}. Pass the dataset with --data.")
    return _compare(registered, _rows_to_fit(location, description), location)


def _rows_to_fit(location: str, description: ModelDescription) -> tuple[pd.DataFrame, pd.Series[pd.Timestamp]]:
    settings = TrainingSettings(**description.training_options)
    rows = read_training_rows(
        location,
        {"fingerprint": description.data_fingerprint},
        target_column=description.target_column,
        timestamp_column=description.timestamp_column,
        sample_rows=settings.sample_rows,
        seed=description.seed,
    )
    member = (rows.times >= pd.Timestamp(description.fit_start)) & (rows.times < pd.Timestamp(description.fit_end))
    if int(member.sum()) != description.rows:
        raise TrainingError(
            f"training data {location} has {int(member.sum())} labelled rows from {description.fit_start} up to {description.fit_end}, but the model was "
            f"fitted on {description.rows}. It is a different dataset; pass the right one with --data."
        )
    return rows.frame[member], rows.times[member]


def _compare(registered: FittedModel, rows: tuple[pd.DataFrame, pd.Series[pd.Timestamp]], location: str) -> Reproduction:
    frame, times = rows
    description = registered.description
    settings = TrainingSettings(**description.training_options)
    fit = fit_recipe(
        Recipe(description.task, description.estimator, description.hyperparameters, description.seed, options=description.training_options),
        frame,
        target_column=description.target_column,
        features=description.features,
        classes=description.classes,
        weights=recency_weights(times, settings.recency_half_life_days),
    )
    again = FittedModel(fit.pipeline, description)
    compared = frame.tail(MOST_COMPARED)
    said, said_again = registered.predict(compared), again.predict(compared)
    sure, sure_again = registered.predict_probability(compared), again.predict_probability(compared)
    numbers: tuple[Any, Any] | None = (sure, sure_again) if sure is not None else None if description.classes else (said, said_again)
    largest = 0.0 if numbers is None else float(np.max(np.abs(numbers[0] - numbers[1])))
    different = int(np.sum(said != said_again)) if description.classes else int(np.sum(~np.isclose(said, said_again, rtol=1e-9)))
    return Reproduction(len(frame), len(compared), different, largest, location)
