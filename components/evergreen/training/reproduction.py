"""Training a registered model again from what was recorded, and comparing what both say."""

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
    """How a model that was trained again compares with the registered one.

    Attributes:
        rows_fitted: Number of rows both were fitted on.
        rows_compared: Number of rows both predicted.
        different: Number of those with another prediction.
        largest_difference: Largest difference of a probability, or of a predicted number.
        data: Where the rows lay.
    """

    rows_fitted: int
    rows_compared: int
    different: int
    largest_difference: float
    data: str

    @property
    def same(self) -> bool:
        """Whether every prediction is the same, probabilities to the last bit but rounding."""
        return self.different == 0 and self.largest_difference <= 1e-9


def reproduce(*, model_name: str, version: str, tracking_uri: str, data: str = "") -> Reproduction:
    """Train a registered version again and compare predictions.

    Args:
        model_name: The registered model.
        version: Its version.
        tracking_uri: The MLflow server.
        data: The dataset it was trained on; where it lay then, when not given.

    Raises:
        TrainingError: The dataset is gone or is not the one that the model was fitted on.
        RegistryError: There is no such version.
    """
    from evergreen.registry.versions import ModelRegistry

    with ModelRegistry(tracking_uri, model_name).fetched(version) as folder:
        registered = load_model(folder)
    description = registered.description
    location = data or description.training_data_uri
    check_local_uri(location, thing=f"training data {location!r}", error_class=TrainingError)
    if not location or not Path(location).exists():
        where = f"{location!r} is not there" if location else "it is not recorded where it lay"
        raise TrainingError(f"training data of {model_name} version {version}: {where}. Name the dataset with --data.")
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
            f"training data {location}: has {int(member.sum())} labelled rows from {description.fit_start} up to {description.fit_end}, and the model was "
            f"fitted on {description.rows}. It is another dataset; name the right one with --data."
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
