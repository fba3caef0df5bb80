"""The search for hyperparameters: random draws, judged on folds that never look into the future."""

from __future__ import annotations

import math
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from evergreen.run_log import plain
from evergreen.scoring import DEFAULT_METRIC
from evergreen.state import is_nothing
from evergreen.training.errors import TrainingError
from evergreen.training.recipe import Recipe, check_names, whole_where_needed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FOLDS = 3
MOST_DRAWS = 500


def parse_search(text: str) -> dict[str, Any]:
    """Read a search: ``none``, or JSON or YAML in line or at a path or ``gs://`` URI, such as ``{"n_iter": 10, "space": {"max_depth": [3, 6]}}``.

    Returns:
        ``n_iter`` and ``space`` (a list of values for each hyperparameter); empty when there is no search.

    Raises:
        TrainingError: The text is not such an object.
    """
    import yaml

    if is_nothing(text):
        return {}
    example = 'Write {"n_iter": 10, "space": {"max_depth": [3, 6]}} or none.'
    try:
        content = yaml.safe_load(_content(text))
    except yaml.YAMLError as error:
        raise TrainingError(f"training_search {text[:200]!r}: is neither JSON nor YAML: {error}. {example}") from error
    if not isinstance(content, dict) or set(content) != {"n_iter", "space"}:
        raise TrainingError(f"training_search {text[:200]!r}: expected an object with n_iter and space. {example}")
    draws, space = content["n_iter"], content["space"]
    if isinstance(draws, bool) or not isinstance(draws, (int, float)) or draws != int(draws) or not 1 <= draws <= MOST_DRAWS:
        raise TrainingError(f"training_search n_iter {draws!r}: expected a whole number from 1 to {MOST_DRAWS}. {example}")
    if not isinstance(space, dict) or not space or not all(isinstance(values, list) and values for values in space.values()):
        raise TrainingError(f"training_search space {space!r}: expected a list of values for each hyperparameter. {example}")
    return {"n_iter": int(draws), "space": space}


def _content(text: str) -> str:
    if "{" in text or "\n" in text or ":" in text.replace("://", ""):
        return text
    from evergreen.object_store import open_store

    location = PurePosixPath(text)
    folder = text.rpartition("/")[0] if "://" in text else str(location.parent)
    found = open_store(folder).read(location.name)
    if found is None:
        raise TrainingError(f"training_search {text!r}: there is no such file. Give JSON or YAML in line, or the path or gs:// URI of a file.")
    return found.decode("utf-8", errors="replace")


def search_hyperparameters(pipeline: Any, recipe: Recipe, features: pd.DataFrame, labels: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return the recipe's hyperparameters with the best that a random search finds.

    Each candidate is fitted on the past and scored on what follows, three times (time-series cross-validation; Bergmeir and
    Benitez, Information Sciences 191, 2012), by the default metric of the task.

    Args:
        pipeline: The pipeline, not fitted; its last step is named ``model``.
        recipe: The recipe with its search.
        features: Prepared features, oldest row first.
        labels: One label a row.

    Raises:
        TrainingError: The space names a hyperparameter that the estimator has not, or no candidate could be fitted.
    """
    from sklearn.model_selection import RandomizedSearchCV, TimeSeriesSplit

    if not recipe.search:
        return recipe.hyperparameters
    estimator = pipeline.named_steps["model"]
    check_names(estimator, recipe.search["space"], recipe.estimator)
    space = {f"model__{name}": [whole_where_needed(estimator, name, value) for value in values] for name, values in recipe.search["space"].items()}
    search = RandomizedSearchCV(
        pipeline,
        space,
        n_iter=min(recipe.search["n_iter"], math.prod(len(values) for values in space.values())),
        scoring=DEFAULT_METRIC[recipe.task],
        cv=TimeSeriesSplit(n_splits=FOLDS),
        random_state=recipe.seed,
        refit=False,
    )
    try:
        with warnings.catch_warnings():
            # A candidate that cannot be fitted scores NaN and loses; it is an error only when none can.
            warnings.simplefilter("ignore")
            search.fit(features, labels)
    except ValueError as error:
        raise TrainingError(f"training_search: no candidate could be fitted on {len(features)} rows: {str(error)[:500]}. Correct the space.") from error
    scores = search.cv_results_["mean_test_score"]
    if not any(math.isfinite(score) for score in scores):
        raise TrainingError(
            f"training_search: none of {len(scores)} candidates could be scored on {FOLDS} folds of {len(features)} rows. "
            "Correct the space or widen the window."
        )
    best = search.cv_results_["params"][max(range(len(scores)), key=lambda index: scores[index] if math.isfinite(scores[index]) else -math.inf)]
    return {**recipe.hyperparameters, **{name.removeprefix("model__"): plain(value) for name, value in best.items()}}
