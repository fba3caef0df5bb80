"""Fitting a recipe on rows, and what the fitted model leans on."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.columns import prepare_features, prepare_labels
from evergreen.scoring import DEFAULT_METRIC
from evergreen.training.errors import TrainingError
from evergreen.training.preprocessing import build_pipeline
from evergreen.training.recipe import Recipe, build_estimator
from evergreen.training.search import search_hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

MOST_IMPORTANCE_ROWS = 1000
IMPORTANCE_REPEATS = 3


@dataclass(frozen=True)
class Fit:
    """A fitted pipeline, the recipe with the hyperparameters that were found, and the seconds it took, by phase."""

    pipeline: Any
    recipe: Recipe
    durations: dict[str, float]


def fit_recipe(recipe: Recipe, rows: pd.DataFrame, *, target_column: str, features: Mapping[str, str], classes: Sequence[Any]) -> Fit:
    """Search, if the recipe says so, and fit.

    Args:
        recipe: How the model is made.
        rows: Labelled rows, oldest first.
        target_column: Name of the label.
        features: Kind of each feature.
        classes: The classes; empty for regression.

    Raises:
        TrainingError: The rows hold one class only, or the estimator refuses the rows or its hyperparameters.
    """
    started = time.monotonic()
    prepared = prepare_features(rows, features)
    labels = prepare_labels(rows[target_column], classes)
    if classes and len(np.unique(labels)) < 2:
        raise TrainingError(
            f"target {target_column!r}: the {len(labels)} rows to fit on are all of class {labels[0]!r}; expected at least two. Widen training_window_days."
        )
    _check_values(recipe)
    found = search_hyperparameters(build_pipeline(features, build_estimator(recipe)), recipe, prepared, labels)
    chosen = replace(recipe, hyperparameters=found)
    searched = time.monotonic()
    pipeline = build_pipeline(features, build_estimator(chosen))
    try:
        with warnings.catch_warnings():
            # What an estimator says about convergence is advice to whoever tunes it; the holdout decides.
            warnings.simplefilter("ignore")
            pipeline.fit(prepared, labels)
    except (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise TrainingError(f"training_estimator {recipe.estimator!r} with {chosen.hyperparameters}: refused {len(rows)} rows: {error}") from error
    durations = {"fit": round(time.monotonic() - searched, 3)}
    if recipe.search:
        durations["search"] = round(searched - started, 3)
    return Fit(pipeline=pipeline, recipe=chosen, durations=durations)


def _check_values(recipe: Recipe) -> None:
    estimator = build_estimator(recipe)
    try:
        getattr(estimator, "_validate_params", lambda: None)()
    except ValueError as error:
        names = ", ".join(sorted(estimator.get_params(deep=False)))
        raise TrainingError(f"training_hyperparameters {recipe.hyperparameters}: {error} {recipe.estimator} takes {names}.") from error


def measure_importances(fit: Fit, rows: pd.DataFrame, *, target_column: str, features: Mapping[str, str], classes: Sequence[Any]) -> dict[str, float]:
    """Return how much the score falls when each feature is shuffled (Breiman, Machine Learning 45, 2001), in the metric's unit.

    Args:
        fit: The fitted pipeline.
        rows: Rows that it was not fitted on; at most 1,000 are used.
        target_column: Name of the label.
        features: Kind of each feature.
        classes: The classes; empty for regression.
    """
    from sklearn.inspection import permutation_importance

    seed = fit.recipe.seed
    sample = rows if len(rows) <= MOST_IMPORTANCE_ROWS else rows.sample(MOST_IMPORTANCE_ROWS, random_state=seed)
    result = permutation_importance(
        fit.pipeline,
        prepare_features(sample, features),
        prepare_labels(sample[target_column], classes),
        scoring=DEFAULT_METRIC[fit.recipe.task],
        n_repeats=IMPORTANCE_REPEATS,
        random_state=seed,
    )
    return {name: round(float(value), 6) for name, value in zip(features, result.importances_mean, strict=True)}
