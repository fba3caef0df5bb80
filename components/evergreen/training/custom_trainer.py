"""Custom trainers: any function, given as ``module:function``, that fits a model on prepared rows.

The contract:

    def train(features, labels, *, hyperparameters, seed, task, sample_weight=None):
        ...
        return model

``features`` is a float64 array of shape (rows, columns), after Evergreen's preprocessing, oldest row first; ``labels`` has shape (rows,);
``hyperparameters`` is the value of training_hyperparameters; ``sample_weight`` is passed only if weights are configured. The returned
model must be fitted, derive from ``sklearn.base.BaseEstimator``, and provide ``predict(features)``; for classification, also ``classes_`` and, if
possible, ``predict_proba(features)``. It is saved with skops: types other than scikit-learn's must be trusted by name (``EVERGREEN_TRUSTED_TYPES``).

Return a PyTorch module or a Keras model in a wrapper that saves it without pickle and provides ``predict`` and ``predict_proba``:

    return TorchModel(module, builder="my_package.networks:network", arguments={"inputs": 12}, classes=[0, 1])
    return KerasModel(model, classes=[0, 1])

from ``evergreen.torch_model`` and ``evergreen.keras_model``; for regression, omit ``classes``. ``my_package.networks:network``, which rebuilds the module
when the model is loaded, must be trusted by that name (``EVERGREEN_TRUSTED_TYPES``).
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.settings.function_path import import_function
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.training.recipe import Recipe

TRIED_ROWS = 5


def trainer_accepts_weights(path: str) -> bool:
    """Return whether a trainer has an argument ``sample_weight``.

    Args:
        path: ``module:function``.

    Raises:
        TrainingError: The function does not exist.
    """
    arguments = inspect.signature(import_function(path, thing="trainer", error_class=TrainingError)).parameters.values()
    return any(argument.name == "sample_weight" or argument.kind is argument.VAR_KEYWORD for argument in arguments)


def fit_custom(recipe: Recipe, pipeline: Any, prepared: pd.DataFrame, labels: np.ndarray[Any, Any], *, weights: np.ndarray[Any, Any] | None) -> Any:
    """Fit the preprocessing, let the trainer fit the model, test it, and return both as one pipeline.

    Args:
        recipe: The recipe; its estimator names the trainer.
        pipeline: Preprocessing and a last step ``model``, which is replaced.
        prepared: Prepared features.
        labels: One label per row.
        weights: Weight of each row, or None.

    Raises:
        TrainingError: The function does not exist, fails, or does not return a model for the task.
    """
    trainer = import_function(recipe.estimator, thing="trainer", error_class=TrainingError)
    features = pipeline.named_steps["preprocessing"].fit_transform(prepared, labels)
    settings = {} if weights is None else {"sample_weight": weights}
    try:
        model = trainer(features, labels, hyperparameters=dict(recipe.hyperparameters), seed=recipe.seed, task=recipe.task, **settings)
    # Report any error of the user's code together with the name of the trainer.
    except Exception as error:
        raise TrainingError(f"Trainer {recipe.estimator!r} failed on {len(labels)} rows: {type(error).__name__}: {error}. Correct the function.") from error
    _check_model(model, recipe, features[:TRIED_ROWS], labels)
    pipeline.steps[-1] = ("model", model)
    try:
        pipeline.predict(prepared.head(TRIED_ROWS))
    except (AttributeError, TypeError) as error:
        raise TrainingError(
            f"Trainer {recipe.estimator!r} returned {type(model).__name__}, which scikit-learn's pipeline rejects: {error} "
            "Derive its class from sklearn.base.BaseEstimator and give it a fit method."
        ) from error
    return pipeline


def _check_model(model: Any, recipe: Recipe, features: Any, labels: np.ndarray[Any, Any]) -> None:
    who = f"Trainer {recipe.estimator!r}"
    if model is None:
        raise TrainingError(f"{who} returned None; expected the fitted model. End the function with 'return model'.")
    if not callable(getattr(model, "predict", None)):
        raise TrainingError(f"{who} returned {type(model).__name__}, which has no predict method; expected a fitted model.")
    classes = getattr(model, "classes_", None)
    if recipe.task == "classification" and (classes is None or not set(np.unique(labels).tolist()) <= set(np.asarray(classes).tolist())):
        raise TrainingError(f"{who}: the model's classes_ are {classes}; expected those of the labels, {np.unique(labels).tolist()[:10]}.")
    try:
        said = np.asarray(model.predict(features))
    except Exception as error:
        raise TrainingError(f"{who}: the model cannot predict the rows it was fitted on: {type(error).__name__}: {error}.") from error
    if said.shape != (len(features),):
        raise TrainingError(f"{who}: the model predicts shape {said.shape} for {len(features)} rows; expected ({len(features)},).")
    if recipe.task == "regression" and not np.isfinite(np.asarray(said, dtype=np.float64)).all():
        raise TrainingError(f"{who}: the model predicts non-finite numbers.")
