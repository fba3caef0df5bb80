"""How a model is made, apart from the data: estimator, hyperparameters, seed. Two equal recipes on equal data make the same challenger."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

from evergreen.data.json_values import plain
from evergreen.errors import MissingExtraError
from evergreen.storage.local_paths import check_values
from evergreen.training.errors import TrainingError
from evergreen.version import __version__

AUTOMATIC = {
    "classification": "sklearn.ensemble.HistGradientBoostingClassifier",
    "regression": "sklearn.ensemble.HistGradientBoostingRegressor",
}

EXTRAS = ("lightgbm", "xgboost")
"""Packages with estimators that are extras of Evergreen's, by their own name."""


@dataclass(frozen=True)
class Recipe:
    """What makes a model out of rows.

    Attributes:
        task: ``classification`` or ``regression``.
        estimator: Import path of a scikit-learn estimator's class, or ``module:function`` of a trainer (see `evergreen.training.custom_trainer`).
        hyperparameters: Its hyperparameters, by name.
        seed: The seed of everything random.
        search: The search over hyperparameters as it was asked for; empty for none.
        holdout_share: Share of the rows that is held out; 0 for a refit.
        first_candidate: Hyperparameters that the search tries first; empty for none.
        options: How the rows are used, where it differs from the defaults; see `evergreen.training.settings`.
    """

    task: str
    estimator: str
    hyperparameters: dict[str, Any]
    seed: int
    search: dict[str, Any] = field(default_factory=dict)
    holdout_share: float = 0.0
    first_candidate: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def challenger_id(recipe: Recipe, *, role: str, columns: tuple[str, str], data_fingerprint: str) -> str:
    """Return 16 hexadecimal digits that name a challenger: a hash of data, recipe, columns, role and code version.

    Args:
        recipe: How the model is made.
        role: ``challenger`` or ``refit``.
        columns: Names of the target and of the event time.
        data_fingerprint: Fingerprint of the dataset.
    """
    parts = {"recipe": asdict(recipe), "role": role, "columns": columns, "data": data_fingerprint, "version": __version__}
    return hashlib.sha256(json.dumps(plain(parts), sort_keys=True).encode()).hexdigest()[:16]


def parse_hyperparameters(text: str) -> dict[str, Any]:
    """Read hyperparameters from a JSON object.

    Raises:
        TrainingError: The text is not a JSON object, or one of its values is a path to secrets.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise TrainingError(
            f'training_hyperparameters {text[:200]!r}: is not JSON: {error}. Write an object such as {{"max_iter": 200}}, with every key in double quotes: '
            'a class that is a number, too, as in {"class_weight": {"0": 1, "1": 5}}.'
        ) from error
    if not isinstance(content, dict):
        raise TrainingError(
            f'training_hyperparameters {text[:200]!r}: expected a JSON object, found {type(content).__name__}. Write one such as {{"max_iter": 200}}.'
        )
    # Some estimators open files that they are given by name, and repeat in an error what they find there.
    check_values(content, thing=f"training_hyperparameters {text[:200]!r}", error_class=TrainingError)
    return content


def estimator_path(estimator: str, task: str) -> str:
    """Return the import path that an estimator's name stands for; ``auto`` is histogram gradient boosting for the task."""
    return AUTOMATIC[task] if estimator.strip() == "auto" else estimator.strip()


def build_estimator(recipe: Recipe) -> Any:
    """Return the recipe's estimator, not fitted, with its hyperparameters and, where it takes one, the seed.

    Raises:
        TrainingError: The path names no scikit-learn estimator for the task, or the estimator has no such hyperparameter.
    """
    from sklearn.base import is_classifier

    kind = _import_estimator(recipe.estimator)
    try:
        estimator = kind()
        names = sorted(estimator.get_params(deep=False))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"training_estimator {recipe.estimator!r}: cannot be made without arguments: {error}. Choose an estimator whose arguments all have defaults."
        ) from error
    if is_classifier(estimator) != (recipe.task == "classification"):
        wanted = "a classifier" if recipe.task == "classification" else "a regressor"
        raise TrainingError(
            f"training_estimator {recipe.estimator!r}: the task is {recipe.task}, which needs {wanted}. Choose another estimator or set model_task."
        )
    check_names(estimator, recipe.hyperparameters, recipe.estimator)
    if "random_state" in names:
        estimator.set_params(random_state=recipe.seed)
    return estimator.set_params(**{name: whole_where_needed(estimator, name, value) for name, value in recipe.hyperparameters.items()})


def check_names(estimator: Any, given: dict[str, Any], path: str) -> None:
    """Raise TrainingError when a hyperparameter's name is not one of the estimator's."""
    names = sorted(estimator.get_params(deep=False))
    for name in given:
        if name not in names:
            raise TrainingError(f"hyperparameter {name!r}: {path} has none of that name; it takes {', '.join(names)}.")


def whole_where_needed(estimator: Any, name: str, value: Any) -> Any:
    """Return a whole float as an int where the estimator takes ints only: JSON writers and KFP turn 100 into 100.0."""
    from sklearn.utils._param_validation import make_constraint

    if not isinstance(value, float) or not value.is_integer():
        return value
    known = getattr(estimator, "_parameter_constraints", None)
    if known is None:
        # Other packages' estimators state nothing; they take whole numbers wherever they take floats.
        return int(value)
    constraints = known.get(name, [])
    if constraints == "no_validation":
        return value
    checks = [make_constraint(constraint) for constraint in constraints]
    if any(check.is_satisfied_by(value) for check in checks) or not any(check.is_satisfied_by(int(value)) for check in checks):
        return value
    return int(value)


def _import_estimator(path: str) -> type[Any]:
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise TrainingError(f"training_estimator {path!r}: expected auto or an import path such as sklearn.linear_model.LogisticRegression.")
    try:
        module = import_module(module_name)
    except ImportError as error:
        if (package := path.partition(".")[0]) in EXTRAS:
            raise MissingExtraError(f"training_estimator {path!r}", extra=package) from error
        raise TrainingError(
            f"training_estimator {path!r}: module {module_name!r} cannot be imported: {error}. Check the path, or install the package in the image."
        ) from error
    kind = getattr(module, class_name, None)
    if kind is None:
        raise TrainingError(f"training_estimator {path!r}: module {module_name!r} has no {class_name!r}. Check the spelling.")
    if not (isinstance(kind, type) and all(hasattr(kind, method) for method in ("fit", "predict", "get_params", "set_params"))):
        raise TrainingError(
            f"training_estimator {path!r}: is no scikit-learn estimator (it lacks fit, predict, get_params or set_params). Name an estimator's class."
        )
    return kind
