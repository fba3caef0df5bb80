"""Weights of classes, ``class_weight``: a mapping whose keys are classes, which a recipe names by their text.

A recipe is kept as JSON (in the model's description, in MLflow, in the plan of a search), whose keys are text. So classes that are numbers or truth
values are ``"0"`` or ``"true"`` in every recipe, however it was written, and become classes again when the estimator is about to be fitted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

PARAMETER = "class_weight"
"""What scikit-learn's estimators, and LightGBM's, call it."""


def with_text_keys(value: Any) -> Any:
    """Return a value whose mappings, however deep, have the keys that JSON would hold: 0 becomes ``"0"``, and True ``"true"``."""
    if isinstance(value, dict):
        return {_text(key): with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_text_keys(item) for item in value]
    return value


def weigh_classes(pipeline: Any, labels: np.ndarray[Any, Any], classes: Sequence[Any]) -> None:
    """Give an estimator that weighs classes the classes themselves for keys.

    Args:
        pipeline: The pipeline, not fitted; its last step is named ``model``.
        labels: The labels that it is to be fitted on. Weights of classes that they lack are left out, for estimators refuse them.
        classes: All classes.

    Raises:
        TrainingError: A key is no class, and a class has no weight. When all have one, the key may be a class that the data has no more.
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
            f"hyperparameter {PARAMETER!r}: {', '.join(map(repr, strange))} is none of the classes, which are {', '.join(map(repr, known))}. "
            'Name classes by their text, as in {"0": 1, "1": 5}.'
        )
    keys = {_text(label): label for label in np.unique(labels).tolist()}
    if isinstance(estimator, HistGradientBoostingClassifier):
        # It numbers the classes, in their order, before it looks up their weights.
        keys = {name: number for number, name in enumerate(keys)}
    estimator.set_params(**{PARAMETER: {key: given[name] for name, key in keys.items() if name in given}})


def _text(key: Any) -> str:
    return json.dumps(key) if isinstance(key, bool) else str(key)
