"""The inputs of a training step: the rows, the recipe, and the start of the holdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present
from evergreen.models.files import read_description
from evergreen.settings.policy_sections import read_policy_section
from evergreen.training.holdout import holdout_start
from evergreen.training.recipe import Recipe, challenger_id, estimator_path, parse_hyperparameters
from evergreen.training.search.settings import parse_search
from evergreen.training.settings import TrainingSettings
from evergreen.training.training_rows import TrainingRows, label_classes, read_training_rows

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.training.request import TrainingRequest


@dataclass(frozen=True)
class TrainingJob:
    """Rows and recipe of a challenger.

    Attributes:
        rows: All labelled rows.
        recipe: The recipe of the model.
        classes: The classes; empty for regression.
        holdout_start: Event time at which the holdout starts.
    """

    rows: TrainingRows
    recipe: Recipe
    classes: list[Any]
    holdout_start: pd.Timestamp

    @property
    def challenger_id(self) -> str:
        """The ID of the challenger that this job produces."""
        columns = (self.rows.target_column, self.rows.timestamp_column)
        return challenger_id(self.recipe, role="challenger", columns=columns, data_fingerprint=self.rows.fingerprint)


def read_job(request: TrainingRequest) -> TrainingJob:
    """Read the rows, and the recipe from the parameters.

    Args:
        request: Data and parameters of the challenger.

    Raises:
        TrainingError: The data or a parameter is invalid.
        PolicyError: The policy is invalid.
    """
    given, searched = parse_hyperparameters(request.hyperparameters), parse_search(request.search)
    used = read_policy_section(request.policy_config, "training", TrainingSettings)
    rows = read_training_rows(
        request.training_data.path,
        request.training_data.metadata,
        target_column=request.target_column,
        timestamp_column=request.timestamp_column,
        sample_rows=used.sample_rows,
        seed=request.seed,
    )
    task, classes = label_classes(rows.frame[request.target_column], request.task)
    path = estimator_path(request.estimator, task)
    recipe = Recipe(task, path, given, request.seed, searched, request.holdout_share, _warm_start(request.champion, path, searched), used.given())
    return TrainingJob(rows, recipe, classes, holdout_start(rows.times, request.holdout_share))


def job_of(recipe: Recipe, *, training_data: Any, target_column: str, timestamp_column: str) -> TrainingJob:
    """Read the rows of a recipe that is already known.

    Args:
        recipe: The recipe.
        training_data: Dataset artifact.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.

    Raises:
        TrainingError: The data is invalid.
    """
    rows = read_training_rows(
        training_data.path,
        training_data.metadata,
        target_column=target_column,
        timestamp_column=timestamp_column,
        sample_rows=TrainingSettings(**recipe.options).sample_rows,
        seed=recipe.seed,
    )
    _, classes = label_classes(rows.frame[target_column], recipe.task)
    return TrainingJob(rows, recipe, classes, holdout_start(rows.times, recipe.holdout_share))


def _warm_start(champion: Any, estimator: str, search: dict[str, Any]) -> dict[str, Any]:
    """Return the champion's values of the searched hyperparameters, if it has all of them."""
    if not search.get("warm_start") or champion is None or not is_present(champion):
        return {}
    fitted = read_description(champion.path)
    if fitted.estimator != estimator or not set(search["space"]) <= set(fitted.hyperparameters):
        return {}
    return {name: fitted.hyperparameters[name] for name in search["space"]}
