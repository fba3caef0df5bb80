"""Class weights, ``class_weight``: a mapping whose keys are classes, written as text in recipes.

Recipes are stored as JSON (in the model's description, in MLflow, in the plan of a search), whose keys are text. Classes that are numbers or
booleans are therefore ``"0"`` or ``"true"`` in every recipe, however it was written, and are converted back just before the estimator is fitted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

PARAMETER = "class_weight"
"""Name of the parameter in the estimators of scikit-learn and LightGBM."""


def with_text_keys(value: Any) -> Any:
    """Convert the keys of mappings at any depth to those that JSON would contain: 0 becomes ``"0"``, and True ``"true"``."""
    if isinstance(value, dict):
        return {_text(key): with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_text_keys(item) for item in value]
    return value


def weigh_classes(pipeline: Any, labels: np.ndarray[Any, Any], classes: Sequence[Any]) -> None:
    """Convert the class weight keys of an estimator back to classes.

    Args:
        pipeline: The unfitted pipeline; its last step is named ``model``.
        labels: The labels that it will be fitted on. Weights of classes missing from them are left out, because estimators reject them.
        classes: All classes.

    Raises:
        TrainingError: A key is not a class, and some class has no weight. If all have one, the key may be a class that no longer occurs in the data.
    """
    estimator = pipeline.named_steps["model"]
    weights = estimator.get_params(deep=False).get(PARAMETER)
    if not isinstance(weights, dict):
        return
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    given = {_text(key): weight for key, weight in weights.items()}
    known = [_text(label) for label in classes]
    strange = [name for name in given if name not in known]
    if strange and not set(known) <= set(given):
        raise TrainingError(
            f"Unknown class {', '.join(map(repr, strange))} in hyperparameter {PARAMETER!r}. Valid classes: {', '.join(map(repr, known))}. "
            'Write classes as text, as in {"0": 1, "1": 5}.'
        )
    keys = {_text(label): label for label in np.unique(labels).tolist()}
    if isinstance(estimator, HistGradientBoostingClassifier):
        # This estimator numbers the classes in order before it looks up their weights.
        keys = {name: number for number, name in enumerate(keys)}
    estimator.set_params(**{PARAMETER: {key: given[name] for name, key in keys.items() if name in given}})


def _text(key: Any) -> str:
    return json.dumps(key) if isinstance(key, bool) else str(key)
