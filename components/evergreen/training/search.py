"""The search for hyperparameters: random draws, judged on folds that never look into the future."""

from __future__ import annotations

import math
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from evergreen.given_text import text_or_file
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
LIMITS = ("seconds", "patience", "splits")
SPLITS = ("time", "stratified")


def parse_search(text: str) -> dict[str, Any]:
    """Read a search: ``none``, or JSON or YAML in line or at a path or ``gs://`` URI, such as ``{"n_iter": 10, "space": {"max_depth": [3, 6]}}``.

    Returns:
        ``n_iter`` and ``space`` (a list of values for each hyperparameter), and where given ``seconds`` (no new candidate is begun after them),
        ``patience`` (the search ends after so many candidates without improvement) and ``splits`` (``time``, the default, or
        ``stratified``, which ignores time); empty when there is no search.

    Raises:
        TrainingError: The text is not such an object.
    """
    import yaml

    if is_nothing(text):
        return {}
    example = 'Write {"n_iter": 10, "space": {"max_depth": [3, 6]}} or none.'
    try:
        content = yaml.safe_load(text_or_file(text, "training_search", TrainingError))
    except yaml.YAMLError as error:
        raise TrainingError(f"training_search {text[:200]!r}: is neither JSON nor YAML: {error}. {example}") from error
    if not isinstance(content, dict) or not {"n_iter", "space"} <= set(content) <= {"n_iter", "space", *LIMITS}:
        raise TrainingError(f"training_search {text[:200]!r}: expected an object with n_iter and space, and if wanted {', '.join(LIMITS)}. {example}")
    draws, space = content["n_iter"], content["space"]
    if isinstance(draws, bool) or not isinstance(draws, (int, float)) or draws != int(draws) or not 1 <= draws <= MOST_DRAWS:
        raise TrainingError(f"training_search n_iter {draws!r}: expected a whole number from 1 to {MOST_DRAWS}. {example}")
    if not isinstance(space, dict) or not space or not all(isinstance(values, list) and values for values in space.values()):
        raise TrainingError(f"training_search space {space!r}: expected a list of values for each hyperparameter. {example}")
    return {"n_iter": int(draws), "space": space, **_limits(content)}


def _limits(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("seconds", "patience"):
        value = content.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0 or (name == "patience" and value != int(value)):
            raise TrainingError(f"training_search {name} {value!r}: expected a {'whole ' if name == 'patience' else ''}number above 0.")
        found[name] = float(value) if name == "seconds" else int(value)
    splits = content.get("splits")
    if splits is not None:
        if splits not in SPLITS:
            raise TrainingError(f"training_search splits {splits!r}: expected one of {', '.join(SPLITS)}.")
        found["splits"] = splits
    return found


def search_hyperparameters(
    pipeline: Any, recipe: Recipe, features: pd.DataFrame, labels: np.ndarray[Any, Any], *, fit_settings: dict[str, Any]
) -> dict[str, Any]:
    """Return the recipe's hyperparameters with the best that a random search finds.

    Each candidate is fitted on the past and scored on what follows, three times (time-series cross-validation; Bergmeir and
    Benitez, Information Sciences 191, 2012), by the default metric of the task. The order of the candidates depends on the seed only; a limit in
    seconds makes how many are tried depend on the machine. One line for each candidate goes to standard error.

    Args:
        pipeline: The pipeline, not fitted; its last step is named ``model``.
        recipe: The recipe with its search.
        features: Prepared features, oldest row first.
        labels: One label a row.
        fit_settings: Passed to the pipeline's ``fit``; arrays with one value a row.

    Raises:
        TrainingError: The space names a hyperparameter that the estimator has not, or no candidate could be fitted.
    """
    from sklearn.model_selection import ParameterSampler

    if not recipe.search:
        return recipe.hyperparameters
    estimator = pipeline.named_steps["model"]
    check_names(estimator, recipe.search["space"], recipe.estimator)
    space = {f"model__{name}": [whole_where_needed(estimator, name, value) for value in values] for name, values in recipe.search["space"].items()}
    count = min(recipe.search["n_iter"], math.prod(len(values) for values in space.values()))
    started, best, best_score, waited, trouble = time.monotonic(), None, -math.inf, 0, "none could be scored"
    for number, candidate in enumerate(ParameterSampler(space, count, random_state=recipe.seed), start=1):
        score, error = _score(pipeline, candidate, recipe, features, labels, fit_settings=fit_settings)
        trouble = error or trouble
        sys.stderr.write(f"search: candidate {number} of {count}: {_named(candidate)}: {error or f'{score:.6g}'}\n")
        best, best_score, waited = (candidate, score, 0) if score > best_score else (best, best_score, waited + 1)
        if time.monotonic() - started >= recipe.search.get("seconds", math.inf) or waited >= recipe.search.get("patience", math.inf):
            break
    if best is None:
        raise TrainingError(f"training_search: no candidate could be fitted on {FOLDS} folds of {len(features)} rows: {trouble[:500]}. Correct the space.")
    return {**recipe.hyperparameters, **{name.removeprefix("model__"): plain(value) for name, value in best.items()}}


def _named(candidate: dict[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('model__')} = {value}" for name, value in sorted(candidate.items()))


def _score(
    pipeline: Any, candidate: dict[str, Any], recipe: Recipe, features: pd.DataFrame, labels: np.ndarray[Any, Any], *, fit_settings: dict[str, Any]
) -> tuple[float, str]:
    """Return a candidate's mean score over the folds, or minus infinity and why it could not be fitted."""
    import numpy as np
    from sklearn.base import clone
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit

    stratified = recipe.search.get("splits") == "stratified" and recipe.task == "classification"
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=recipe.seed) if stratified else TimeSeriesSplit(FOLDS)
    scorer, scores = get_scorer(DEFAULT_METRIC[recipe.task]), []
    try:
        with warnings.catch_warnings():
            # What a candidate says about convergence does not matter: its score does.
            warnings.simplefilter("ignore")
            for fitted, judged in folds.split(features, labels):
                model = clone(pipeline).set_params(**candidate)
                model.fit(features.iloc[fitted], labels[fitted], **{name: values[fitted] for name, values in fit_settings.items()})
                scores.append(float(scorer(model, features.iloc[judged], labels[judged])))
    except (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError) as error:
        return -math.inf, str(error).replace("\n", " ")[:300]
    return (mean, "") if math.isfinite(mean := sum(scores) / len(scores)) else (-math.inf, "its score is not finite")
