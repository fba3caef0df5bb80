"""Fits a recipe on rows and measures the feature importances of the fitted model."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.data.columns import prepare_features, prepare_labels
from evergreen.models.threads import fitting_threads
from evergreen.settings.function_path import is_function_path
from evergreen.training.class_weights import weigh_classes
from evergreen.training.custom_trainer import fit_custom, trainer_accepts_weights
from evergreen.training.errors import TrainingError
from evergreen.training.preprocessing import build_pipeline, many_valued
from evergreen.training.recipe import Recipe, build_estimator
from evergreen.training.search.running import SearchRows, search_hyperparameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evergreen.training.search.memory import SearchMemory

MOST_IMPORTANCE_ROWS = 1000
MOST_REPEATS = 3
MOST_SHUFFLED_ROWS = 30_000
"""Each feature is shuffled up to three times, or fewer if many features would make that slower than a small fit."""
MOST_CELLS = 3_000_000


@dataclass(frozen=True)
class Fit:
    """A fitted pipeline, the recipe with the chosen hyperparameters, and the seconds taken by each phase."""

    pipeline: Any
    recipe: Recipe
    durations: dict[str, float]


@dataclass(frozen=True)
class PreparedRows:
    """Rows prepared for fitting, and a function that builds the pipeline around an estimator."""

    rows: SearchRows
    pipeline_with: Callable[[Any], Any]


def prepare_rows(
    recipe: Recipe,
    rows: pd.DataFrame,
    *,
    target_column: str,
    features: Mapping[str, str],
    classes: Sequence[Any],
    weights: np.ndarray[Any, Any] | None = None,
) -> PreparedRows:
    """Prepare rows for fitting. The arguments are those of `fit_recipe`.

    Raises:
        TrainingError: The rows contain only one class, or lack the group column.
    """
    prepared = prepare_features(rows, features)
    labels = prepare_labels(rows[target_column], classes)
    if classes and len(np.unique(labels)) < 2:
        raise TrainingError(
            f"target {target_column!r}: all {len(labels)} rows to fit on belong to class {labels[0]!r}; expected at least two. Increase training_window_days."
        )
    encoded = many_valued(prepared, features, str(recipe.options.get("encoding", "automatic")))
    target_type = ("binary" if len(classes) == 2 else "multiclass") if classes else "continuous"

    def pipeline_with(estimator: Any) -> Any:
        return build_pipeline(features, estimator, target_encoded=encoded, target_type=target_type, seed=recipe.seed)

    settings = {} if weights is None else {"model__sample_weight": weights}
    return PreparedRows(SearchRows(prepared, labels, settings, _groups(recipe, rows), classes), pipeline_with)


def check_recipe(recipe: Recipe, *, weighted: bool) -> None:
    """Check that an estimator accepts its hyperparameters, and weights if the rows have them.

    Raises:
        TrainingError: It does not, or a search is requested for a custom trainer.
    """
    if is_function_path(recipe.estimator):
        if recipe.search:
            raise TrainingError(f"training_search: a custom trainer ({recipe.estimator}) must do its own search. Set training_search to none.")
        return
    _check_values(recipe)
    if weighted:
        _check_weights(recipe)


def fit_recipe(
    recipe: Recipe,
    rows: pd.DataFrame,
    *,
    target_column: str,
    features: Mapping[str, str],
    classes: Sequence[Any],
    weights: np.ndarray[Any, Any] | None = None,
    memory: SearchMemory | None = None,
) -> Fit:
    """Run the search, if the recipe has one, and fit the model.

    Args:
        recipe: The recipe of the model.
        rows: Labelled rows, oldest first.
        target_column: Name of the label column.
        features: Kind of each feature.
        classes: The classes; empty for regression.
        weights: Weight of each row; None if all rows count the same.
        memory: Store for the scores of the search; None to store nothing.

    Raises:
        TrainingError: The rows contain only one class, or the estimator or trainer rejects the rows or its hyperparameters.
    """
    started = time.monotonic()
    made = prepare_rows(recipe, rows, target_column=target_column, features=features, classes=classes, weights=weights)
    prepared, labels, settings, pipeline_with = made.rows.features, made.rows.labels, made.rows.fit_settings, made.pipeline_with
    check_recipe(recipe, weighted=weights is not None)
    prepared_at = time.monotonic()
    if is_function_path(recipe.estimator):
        pipeline = fit_custom(recipe, pipeline_with("passthrough"), prepared, labels, weights=weights)
        return Fit(pipeline=pipeline, recipe=recipe, durations={"prepare": _since(started, prepared_at), "fit": _since(prepared_at)})
    with fitting_threads(*prepared.shape):
        found = search_hyperparameters(pipeline_with(build_estimator(recipe)), recipe, made.rows, memory=memory)
    chosen = replace(recipe, hyperparameters=found)
    searched = time.monotonic()
    pipeline = pipeline_with(build_estimator(chosen))
    weigh_classes(pipeline, labels, classes)
    try:
        with warnings.catch_warnings():
            # Convergence warnings are advice for tuning; the holdout decides.
            warnings.simplefilter("ignore")
            with fitting_threads(*prepared.shape):
                pipeline.fit(prepared, labels, **settings)
    except (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise TrainingError(f"training_estimator {recipe.estimator!r} with {chosen.hyperparameters} failed on {len(rows)} rows: {error}") from error
    durations = {"prepare": _since(started, prepared_at), "fit": _since(searched)}
    if recipe.search:
        durations["search"] = _since(prepared_at, searched)
    return Fit(pipeline=pipeline, recipe=chosen, durations=durations)


def _groups(recipe: Recipe, rows: pd.DataFrame) -> np.ndarray[Any, Any] | None:
    column = recipe.search.get("group_column")
    if column is None:
        return None
    if column not in rows.columns:
        raise TrainingError(
            f"Unknown column {column!r} in training_search group_column. Columns of the training data: {', '.join(map(str, rows.columns))}. "
            "Correct the name, or do not exclude the column."
        )
    return np.asarray(pd.factorize(rows[column], use_na_sentinel=False)[0])


def _since(start: float, end: float | None = None) -> float:
    return round((time.monotonic() if end is None else end) - start, 3)


def accepts_weights(recipe: Recipe) -> bool:
    """Return whether the recipe's estimator or trainer accepts a weight for each row."""
    if is_function_path(recipe.estimator):
        return trainer_accepts_weights(recipe.estimator)
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(build_estimator(recipe), "sample_weight"))


def _check_weights(recipe: Recipe) -> None:
    if not accepts_weights(recipe):
        raise TrainingError(
            f"policy_config: training.recency_half_life_days: {recipe.estimator} does not support weights. Remove it, or choose another estimator."
        )


def _check_values(recipe: Recipe) -> None:
    estimator = build_estimator(recipe)
    try:
        # Estimators of other packages inherit the check from scikit-learn, but not always the constraints it needs.
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
    except ValueError as error:
        names = ", ".join(sorted(estimator.get_params(deep=False)))
        raise TrainingError(f"training_hyperparameters {recipe.hyperparameters}: {error} {recipe.estimator} accepts {names}.") from error


def measure_importances(fit: Fit, rows: pd.DataFrame, *, target_column: str, features: Mapping[str, str], classes: Sequence[Any]) -> dict[str, float]:
    """Return how much the score drops when each feature is shuffled (Breiman, Machine Learning 45, 2001), in units of the metric.

    Args:
        fit: The fitted pipeline.
        rows: Rows that it was not fitted on; at most 1,000 are used, with each feature shuffled up to three times (fewer with many features).
        target_column: Name of the label column.
        features: Kind of each feature.
        classes: The classes; empty for regression.
    """
    random = np.random.default_rng(fit.recipe.seed)
    sample = rows if len(rows) <= MOST_IMPORTANCE_ROWS else rows.sample(MOST_IMPORTANCE_ROWS, random_state=fit.recipe.seed)
    prepared, labels = prepare_features(sample, features), prepare_labels(sample[target_column], classes)
    with fitting_threads(*prepared.shape):
        usual = _right(fit.pipeline.predict(prepared), labels, classes)
    repeats = min(MOST_REPEATS, max(1, MOST_SHUFFLED_ROWS // max(1, len(features) * len(sample))))
    orders = [random.permutation(len(sample)) for _ in range(repeats)]
    falls: dict[str, float] = {}
    # Predict many shuffled copies in one call, because each call has a fixed cost.
    together = max(1, MOST_CELLS // (len(features) * len(sample) * repeats))
    names = list(features)
    for start in range(0, len(names), together):
        part = names[start : start + together]
        shuffled = _shuffled(prepared, part, orders)
        with fitting_threads(*shuffled.shape):
            said = fit.pipeline.predict(shuffled).reshape(len(part), -1)
        for name, answers in zip(part, said, strict=True):
            falls[name] = round(float(usual - _right(answers, np.tile(labels, repeats), classes)), 6)
    return falls


def _shuffled(rows: pd.DataFrame, names: Sequence[str], orders: Sequence[np.ndarray[Any, Any]]) -> pd.DataFrame:
    """Return one copy of the rows per name and order, with the named column in that order, stacked below each other."""
    columns = {}
    for name in rows.columns:
        values = rows[name].to_numpy()
        copies = np.tile(values, (len(names) * len(orders), 1))
        if name in names:
            first = list(names).index(name) * len(orders)
            copies[first : first + len(orders)] = values[np.array(orders)]
        columns[name] = copies.ravel()
    return pd.DataFrame(columns, copy=False)


def _right(predicted: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], classes: Sequence[Any]) -> float:
    """Return the default metric of the task: accuracy, or the negative mean absolute error."""
    return float(np.mean(predicted == labels)) if classes else -float(np.mean(np.abs(predicted - labels)))
