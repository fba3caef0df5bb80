"""The recipe of a model: estimator, hyperparameters, seed. Identical recipes on identical data produce the same challenger."""

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
"""Packages with estimators that are installed as extras of the same name."""


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a model apart from the data.

    Attributes:
        task: ``classification`` or ``regression``.
        estimator: Import path of a scikit-learn estimator class, or ``module:function`` of a trainer (see `evergreen.training.custom_trainer`).
        hyperparameters: Its hyperparameters, by name.
        seed: Random seed.
        search: The requested hyperparameter search; empty for none.
        holdout_share: Share of the rows to hold out; 0 for a refit.
        first_candidate: Hyperparameters that the search tries first; empty for none.
        options: Options for using the rows that differ from the defaults; see `evergreen.training.settings`.
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
    """Return the ID of a challenger, 16 hexadecimal digits: a hash of data, recipe, columns, role and code version.

    Args:
        recipe: The recipe of the model.
        role: ``challenger`` or ``refit``.
        columns: Names of the target and event time columns.
        data_fingerprint: Fingerprint of the dataset.
    """
    parts = {"recipe": asdict(recipe), "role": role, "columns": columns, "data": data_fingerprint, "version": __version__}
    return hashlib.sha256(json.dumps(plain(parts), sort_keys=True).encode()).hexdigest()[:16]


def parse_hyperparameters(text: str) -> dict[str, Any]:
    """Read hyperparameters from a JSON object.

    Raises:
        TrainingError: The text is not a JSON object, or a value is a path to secrets.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise TrainingError(
            f'Invalid training_hyperparameters {text[:200]!r}: not JSON: {error}. Use an object such as {{"max_iter": 200}}, with all keys in double '
            'quotes, including numeric classes, as in {"class_weight": {"0": 1, "1": 5}}.'
        ) from error
    if not isinstance(content, dict):
        raise TrainingError(
            f'Invalid training_hyperparameters {text[:200]!r}: expected a JSON object, found {type(content).__name__}. Use one such as {{"max_iter": 200}}.'
        )
    # Some estimators open files passed to them by name and repeat their content in errors.
    check_values(content, thing=f"training_hyperparameters {text[:200]!r}", error_class=TrainingError)
    return content


def estimator_path(estimator: str, task: str) -> str:
    """Return the import path of an estimator; ``auto`` is histogram gradient boosting for the task."""
    return AUTOMATIC[task] if estimator.strip() == "auto" else estimator.strip()


def build_estimator(recipe: Recipe) -> Any:
    """Return the recipe's unfitted estimator, with its hyperparameters and, if supported, the seed.

    Raises:
        TrainingError: The path does not name a scikit-learn estimator for the task, or a hyperparameter is unknown.
    """
    from sklearn.base import is_classifier

    kind = _import_estimator(recipe.estimator)
    try:
        estimator = kind()
        names = sorted(estimator.get_params(deep=False))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"training_estimator {recipe.estimator!r} cannot be created without arguments: {error}. Choose an estimator whose arguments all have defaults."
        ) from error
    if is_classifier(estimator) != (recipe.task == "classification"):
        wanted = "a classifier" if recipe.task == "classification" else "a regressor"
        raise TrainingError(
            f"training_estimator {recipe.estimator!r}: the task is {recipe.task}, which requires {wanted}. Choose another estimator or set model_task."
        )
    check_names(estimator, recipe.hyperparameters, recipe.estimator)
    if "random_state" in names:
        estimator.set_params(random_state=recipe.seed)
    return estimator.set_params(**{name: whole_where_needed(estimator, name, value) for name, value in recipe.hyperparameters.items()})


def check_names(estimator: Any, given: dict[str, Any], path: str) -> None:
    """Raise TrainingError if a hyperparameter is unknown to the estimator."""
    names = sorted(estimator.get_params(deep=False))
    for name in given:
        if name not in names:
            raise TrainingError(f"Unknown hyperparameter {name!r} of {path}. Valid hyperparameters: {', '.join(names)}. Correct the name.")


def whole_where_needed(estimator: Any, name: str, value: Any) -> Any:
    """Return an integral float as an int if the estimator accepts only ints, because JSON writers and KFP turn 100 into 100.0."""
    from sklearn.utils._param_validation import make_constraint

    if not isinstance(value, float) or not value.is_integer():
        return value
    known = getattr(estimator, "_parameter_constraints", None)
    if known is None:
        # Estimators of other packages declare no constraints; they accept ints wherever they accept floats.
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
        raise TrainingError(f"Invalid training_estimator {path!r}: expected auto or an import path such as sklearn.linear_model.LogisticRegression.")
    try:
        module = import_module(module_name)
    except ImportError as error:
        if (package := path.partition(".")[0]) in EXTRAS:
            raise MissingExtraError(f"training_estimator {path!r}", extra=package) from error
        raise TrainingError(
            f"training_estimator {path!r}: cannot import module {module_name!r}: {error}. Check the path, or install the package in the image."
        ) from error
    kind = getattr(module, class_name, None)
    if kind is None:
        raise TrainingError(f"training_estimator {path!r}: module {module_name!r} has no {class_name!r}. Check the spelling.")
    if not (isinstance(kind, type) and all(hasattr(kind, method) for method in ("fit", "predict", "get_params", "set_params"))):
        raise TrainingError(
            f"training_estimator {path!r} is not a scikit-learn estimator (it lacks fit, predict, get_params or set_params). Use an estimator class."
        )
    return kind
