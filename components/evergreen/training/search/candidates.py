"""The candidates of a hyperparameter search: drawn at random, by successive halving, or proposed by Optuna."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import numpy as np

    from evergreen.training.search.settings import SearchSettings, ValueRange

    Space = Mapping[str, list[Any] | ValueRange]

KEPT = 3
"""Halving keeps one in this many candidates for the next round, which gets this many times as many rows."""


@dataclass(frozen=True)
class Trial:
    """Hyperparameters to try, and the share of newest rows to try them on."""

    hyperparameters: dict[str, Any]
    share: float = 1.0


def trials_of(settings: SearchSettings, space: Space, seed: int) -> Generator[Trial, float, None]:
    """Yield the trials of a search; send the score of each, or minus infinity if it could not be fitted.

    The order depends only on the seed and the scores, so a restarted search yields the same trials.

    Args:
        settings: Method and number of candidates.
        space: Values or range of each hyperparameter.
        seed: Random seed for the draws.

    Raises:
        MissingExtraError: Optuna is requested but not installed.
    """
    methods = {"random": _drawn_trials, "halving": _halving_trials, "optuna": _optuna_trials}
    return methods[settings.method](settings.n_iter, space, seed)


def _drawn_trials(count: int, space: Space, seed: int) -> Generator[Trial, float, None]:
    for hyperparameters in _draw(count, space, seed):
        yield Trial(hyperparameters)


def _halving_trials(count: int, space: Space, seed: int) -> Generator[Trial, float, None]:
    left = _draw(count, space, seed)
    rounds = math.ceil(math.log(len(left), KEPT)) if len(left) > 1 else 0
    for number in range(rounds + 1):
        scores: dict[int, float] = {}
        for index, hyperparameters in enumerate(left):
            scores[index] = yield Trial(hyperparameters, float(KEPT) ** (number - rounds))
        order = sorted(scores, key=scores.__getitem__, reverse=True)
        left = [left[index] for index in order[: math.ceil(len(left) / KEPT)]]


def _optuna_trials(count: int, space: Space, seed: int) -> Generator[Trial, float, None]:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("training_search method 'optuna'", extra="optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(count):
        asked = study.ask()
        score = yield Trial({name: _suggested(asked, name, values) for name, values in space.items()})
        if math.isfinite(score):
            study.tell(asked, score)
        else:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)


def _suggested(trial: Any, name: str, values: list[Any] | ValueRange) -> Any:
    if isinstance(values, list):
        # Use the position, because Optuna stores only numbers, text and booleans.
        return values[trial.suggest_categorical(name, range(len(values)))]
    if values.whole:
        return trial.suggest_int(name, math.ceil(values.low), math.floor(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _draw(count: int, space: Space, seed: int) -> list[dict[str, Any]]:
    from sklearn.model_selection import ParameterSampler

    lists = [values for values in space.values() if isinstance(values, list)]
    most = math.prod(map(len, lists)) if len(lists) == len(space) else count
    drawn = {name: values if isinstance(values, list) else _Distribution(values) for name, values in space.items()}
    return list(ParameterSampler(drawn, min(count, most), random_state=seed))


@dataclass(frozen=True)
class _Distribution:
    """A range in the form that scikit-learn draws from."""

    values: ValueRange

    def rvs(self, random_state: np.random.RandomState) -> float | int:
        low, high = self.values.low, self.values.high
        drawn = math.exp(random_state.uniform(math.log(low), math.log(high))) if self.values.log else random_state.uniform(low, high)
        return round(drawn) if self.values.whole else drawn
