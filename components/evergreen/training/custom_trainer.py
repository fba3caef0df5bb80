"""Trainers of the user's own: any function, named ``module:function``, that fits a model on prepared rows.

The contract:

    def train(features, labels, *, hyperparameters, seed, task, sample_weight=None):
        ...
        return model

``features`` is a float64 array of shape (rows, columns), after Evergreen's preprocessing, oldest row first; ``labels`` has shape (rows,);
``hyperparameters`` is what was given as training_hyperparameters; ``sample_weight`` is passed only when weights were asked for. The
model returned is fitted, derives from ``sklearn.base.BaseEstimator``, and has ``predict(features)``, and for classification ``classes_`` and, if it
can, ``predict_proba(features)``. It is saved with skops: types beside scikit-learn's own have to be trusted by name (``EVERGREEN_TRUSTED_TYPES``).

A PyTorch module or a Keras model is returned in a wrapper that saves it without a pickle, and gives it ``predict`` and ``predict_proba``:

    return TorchModel(module, builder="my_package.networks:network", arguments={"inputs": 12}, classes=[0, 1])
    return KerasModel(model, classes=[0, 1])

from ``evergreen.torch_model`` and ``evergreen.keras_model``; for regression ``classes`` is left out. ``my_package.networks:network``, which makes the module
again when the model is loaded, is trusted by that name (``EVERGREEN_TRUSTED_TYPES``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.settings.function_path import import_function
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.training.recipe import Recipe

TRIED_ROWS = 5


def fit_custom(recipe: Recipe, pipeline: Any, prepared: pd.DataFrame, labels: np.ndarray[Any, Any], *, weights: np.ndarray[Any, Any] | None) -> Any:
    """Fit the preprocessing, let the trainer fit the model, try it, and return both as one pipeline.

    Args:
        recipe: The recipe; its estimator names the trainer.
        pipeline: Preprocessing and a last step ``model`` that is replaced.
        prepared: Prepared features.
        labels: One label a row.
        weights: Weight of each row, or None.

    Raises:
        TrainingError: There is no such function, it failed, or what it returned is no model for the task.
    """
    trainer = import_function(recipe.estimator, thing="trainer", error_class=TrainingError)
    features = pipeline.named_steps["preprocessing"].fit_transform(prepared, labels)
    settings = {} if weights is None else {"sample_weight": weights}
    try:
        model = trainer(features, labels, hyperparameters=dict(recipe.hyperparameters), seed=recipe.seed, task=recipe.task, **settings)
    # Whatever the user's code raises is the user's to know, with the name of the trainer.
    except Exception as error:
        raise TrainingError(f"trainer {recipe.estimator!r}: failed on {len(labels)} rows: {type(error).__name__}: {error}. Correct the function.") from error
    _check_model(model, recipe, features[:TRIED_ROWS], labels)
    pipeline.steps[-1] = ("model", model)
    try:
        pipeline.predict(prepared.head(TRIED_ROWS))
    except (AttributeError, TypeError) as error:
        raise TrainingError(
            f"trainer {recipe.estimator!r}: returned {type(model).__name__}, which scikit-learn's pipeline refuses: {error} "
            "Let its class derive from sklearn.base.BaseEstimator, and have a fit."
        ) from error
    return pipeline


def _check_model(model: Any, recipe: Recipe, features: Any, labels: np.ndarray[Any, Any]) -> None:
    who = f"trainer {recipe.estimator!r}"
    if model is None:
        raise TrainingError(f"{who}: returned nothing; expected the fitted model. End the function with 'return model'.")
    if not callable(getattr(model, "predict", None)):
        raise TrainingError(f"{who}: returned {type(model).__name__}, which has no predict; expected a fitted model.")
    classes = getattr(model, "classes_", None)
    if recipe.task == "classification" and (classes is None or not set(np.unique(labels).tolist()) <= set(np.asarray(classes).tolist())):
        raise TrainingError(f"{who}: its model's classes_ are {classes}; expected those of the labels, {np.unique(labels).tolist()[:10]}.")
    try:
        said = np.asarray(model.predict(features))
    except Exception as error:
        raise TrainingError(f"{who}: its model cannot predict the rows it was fitted on: {type(error).__name__}: {error}.") from error
    if said.shape != (len(features),):
        raise TrainingError(f"{who}: its model predicts shape {said.shape} for {len(features)} rows; expected ({len(features)},).")
    if recipe.task == "regression" and not np.isfinite(np.asarray(said, dtype=np.float64)).all():
        raise TrainingError(f"{who}: its model predicts numbers that are not finite.")
