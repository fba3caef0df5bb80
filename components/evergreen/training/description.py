"""Fits a recipe on a part of the rows and describes the fitted model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import ModelDescription
from evergreen.data.times import iso_time
from evergreen.training.fit import Fit, fit_recipe
from evergreen.training.settings import row_weights

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.training.recipe import Recipe
    from evergreen.training.search.memory import SearchMemory
    from evergreen.training.training_rows import TrainingRows


def fit_part(
    rows: TrainingRows,
    recipe: Recipe,
    *,
    features: dict[str, str],
    classes: list[Any],
    identifier: str,
    first: int = 0,
    before: int | None = None,
    fit_end: pd.Timestamp | None = None,
    memory: SearchMemory | None = None,
) -> tuple[Fit, ModelDescription]:
    """Fit a recipe on consecutive rows.

    Args:
        rows: All labelled rows, oldest first.
        recipe: The recipe of the model.
        features: Kind of each feature.
        classes: The classes; empty for regression.
        identifier: ID of the model.
        first: Position of the first row to fit on.
        before: Position after the last row to fit on; None for all.
        fit_end: Event time up to which the model has seen rows; None for that of row ``before``, or the end of the window.
        memory: Store for the scores of a search.

    Raises:
        TrainingError: The rows or the recipe do not allow training.
    """
    last = len(rows.frame) if before is None else before
    part, times = rows.frame.iloc[first:last], rows.times.iloc[first:last]
    weights = row_weights(recipe, times)
    fit = fit_recipe(recipe, part, target_column=rows.target_column, features=features, classes=classes, weights=weights, memory=memory)
    end = fit_end if fit_end is not None else rows.window_end if last == len(rows.frame) else rows.times.iloc[last]
    return fit, replace(describe(fit, rows, features=features, identifier=identifier), fit_start=iso_time(times.iloc[0]), fit_end=iso_time(end), rows=len(part))


def describe(fit: Fit, rows: TrainingRows, *, features: dict[str, str], identifier: str) -> ModelDescription:
    """Describe a model fitted on all rows."""
    return ModelDescription(
        task=fit.recipe.task,
        target_column=rows.target_column,
        timestamp_column=rows.timestamp_column,
        features=dict(features),
        classes=fitted_classes(fit),
        fit_start=iso_time(rows.times.iloc[0]),
        fit_end=iso_time(rows.window_end),
        rows=len(rows.frame),
        estimator=fit.recipe.estimator,
        hyperparameters=fit.recipe.hyperparameters,
        seed=fit.recipe.seed,
        data_fingerprint=rows.fingerprint,
        challenger_id=identifier,
        durations=fit.durations,
        training_options=fit.recipe.options,
    )


def fitted_classes(fit: Fit) -> list[Any]:
    """Return the classes of a fitted model as plain values; empty for regression."""
    return [value.item() if hasattr(value, "item") else value for value in fit.pipeline.classes_] if fit.recipe.task == "classification" else []
