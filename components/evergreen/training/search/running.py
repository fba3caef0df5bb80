"""The search for hyperparameters: candidates are judged on folds of the rows, and the best one is taken."""

from __future__ import annotations

import contextlib
import math
import sys
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain
from evergreen.metrics.scoring import DEFAULT_METRIC
from evergreen.training.class_weights import weigh_classes
from evergreen.training.errors import TrainingError
from evergreen.training.recipe import Recipe, check_names, whole_where_needed
from evergreen.training.search.candidates import Trial, trials_of
from evergreen.training.search.settings import SearchSettings, ValueRange

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy as np
    import pandas as pd

    from evergreen.training.search.memory import SearchMemory

STEP = "model__"


@dataclass(frozen=True)
class SearchRows:
    """The rows that candidates are fitted and judged on, oldest first.

    Attributes:
        features: Prepared features.
        labels: One label a row.
        fit_settings: Passed to the pipeline's ``fit``; arrays with one value a row.
        groups: Group of each row, or None.
        classes: All classes, those that no row here is of among them; empty for regression.
    """

    features: pd.DataFrame
    labels: np.ndarray[Any, Any]
    fit_settings: dict[str, Any] = field(default_factory=dict)
    groups: np.ndarray[Any, Any] | None = None
    classes: Sequence[Any] = ()

    def newest(self, share: float) -> SearchRows:
        """Return the newest share of the rows."""
        rows = slice(int(len(self.labels) * (1 - share)), None)
        settings = {name: values[rows] for name, values in self.fit_settings.items()}
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, features=self.features.iloc[rows], labels=self.labels[rows], fit_settings=settings, groups=groups)


def search_hyperparameters(pipeline: Any, recipe: Recipe, rows: SearchRows, *, memory: SearchMemory | None = None) -> dict[str, Any]:
    """Return the recipe's hyperparameters with the best that the search finds.

    By default each candidate is fitted on the past and scored on what follows (time-series cross-validation; Bergmeir and Benitez,
    Information Sciences 191, 2012), by the default metric of the task. One line for each candidate goes to standard error.

    Args:
        pipeline: The pipeline, not fitted; its last step is named ``model``.
        recipe: The recipe with its search.
        rows: What candidates are fitted and judged on.
        memory: Scores of an attempt that was killed, and the place for new ones.

    Raises:
        TrainingError: The space names a hyperparameter that the estimator has not, or no candidate could be fitted.
        MissingExtraError: The search needs a package that is not installed.
    """
    if not recipe.search:
        return recipe.hyperparameters
    settings = SearchSettings(**recipe.search)
    space = searched_space(settings, pipeline.named_steps["model"], recipe.estimator)
    search = _Search(pipeline, recipe, settings, rows, memory)
    search.run(trials_of(settings, space, recipe.seed))
    return {**recipe.hyperparameters, **plain(search.chosen())}


def score_trials(trials: Sequence[Trial], pipeline: Any, recipe: Recipe, rows: SearchRows, *, memory: SearchMemory | None = None) -> list[ScoredTrial]:
    """Score given trials as the search would, until its seconds are over; at least one is scored.

    Args:
        trials: What to try, in this order; not empty.
        pipeline: As for `search_hyperparameters`.
        recipe: The recipe; the folds, the seconds and the metric are those of its search.
        rows: What candidates are fitted and judged on.
        memory: Scores of an attempt that was killed, and the place for new ones.
    """
    settings = SearchSettings(**recipe.search).model_copy(update={"n_iter": len(trials)})
    search = _Search(pipeline, replace(recipe, first_candidate={}), settings, rows, memory)
    search.run(_given(trials))
    return search.scored


def searched_space(settings: SearchSettings, estimator: Any, path: str) -> dict[str, list[Any] | ValueRange]:
    """Return the space of a search with whole numbers where the estimator needs them.

    Args:
        settings: The search.
        estimator: The estimator, not fitted.
        path: Its import path, for messages.

    Raises:
        TrainingError: The space names a hyperparameter that the estimator has not.
    """
    check_names(estimator, dict(settings.space), path)
    return {
        name: values if isinstance(values, ValueRange) else [whole_where_needed(estimator, name, value) for value in values]
        for name, values in settings.space.items()
    }


def nothing_fitted(settings: SearchSettings, rows: int, trouble: str) -> TrainingError:
    """Return the error that says that no candidate of a search could be fitted, and why."""
    return TrainingError(
        f"training_search: no candidate could be fitted on {settings.folds} folds of {rows} rows: {trouble[:500].rstrip('.')}. Correct the space."
    )


@dataclass(frozen=True)
class ScoredTrial:
    """A trial that was tried, its score (minus infinity when it could not be fitted), and then why not."""

    trial: Trial
    score: float
    error: str


def _given(trials: Sequence[Trial]) -> Generator[Trial, float, None]:
    for trial in trials:  # noqa: UP028 - the scores are sent to what yields, and a sequence's iterator takes none
        yield trial


class _Search:
    def __init__(self, pipeline: Any, recipe: Recipe, settings: SearchSettings, rows: SearchRows, memory: SearchMemory | None) -> None:
        self.pipeline, self.recipe, self.settings, self.rows, self.memory = pipeline, recipe, settings, rows, memory
        self.started = time.monotonic()
        self.best: Trial | None = None
        self.best_score = -math.inf
        self.waited = 0
        self.scored: list[ScoredTrial] = []
        self.trouble = "none could be scored"

    def run(self, trials: Generator[Trial, float, None]) -> None:
        if self.recipe.first_candidate:
            self._try(Trial(self.recipe.first_candidate))
        with contextlib.suppress(StopIteration):
            trial = next(trials)
            while not self._ended():
                trial = trials.send(self._try(trial))
        if self.memory is not None:
            self.memory.finish()

    def chosen(self) -> dict[str, Any]:
        if self.best is None:
            raise nothing_fitted(self.settings, len(self.rows.labels), self.trouble)
        return self.best.hyperparameters

    def _ended(self) -> bool:
        late = self.settings.seconds is not None and time.monotonic() - self.started >= self.settings.seconds
        # The first candidate is tried however little time there is.
        return bool(self.scored) and (late or (self.settings.patience is not None and self.waited >= self.settings.patience))

    def _try(self, trial: Trial) -> float:
        known = self.memory.score_of(trial) if self.memory else None
        score, error = (known, "") if known is not None else self._score(trial)
        self.scored.append(ScoredTrial(trial, score, error))
        self.trouble = error or self.trouble
        # Scores on more rows count more: halving's last round is what decides.
        better = self.best is None or (trial.share, score) > (self.best.share, self.best_score)
        if better and math.isfinite(score):
            self.best, self.best_score, self.waited = trial, score, 0
        else:
            self.waited += 1
        if self.memory and known is None:
            self.memory.keep(trial, score, best=self.best_score, number=len(self.scored))
        where = "" if trial.share == 1 else f" on {trial.share:.0%} of the rows"
        remembered = ", known from an earlier attempt" if known is not None else ""
        sys.stderr.write(f"search: candidate {len(self.scored)} of {self._most()}: {_named(trial)}{where}: {error or f'{score:.6g}'}{remembered}\n")
        return score

    def _most(self) -> str:
        return f"{self.settings.n_iter} and the better ones again" if self.settings.method == "halving" else f"at most {self.settings.n_iter}"

    def _score(self, trial: Trial) -> tuple[float, str]:
        """Return a trial's mean score over the folds, or minus infinity and why it could not be fitted."""
        import numpy as np
        from sklearn.base import clone
        from sklearn.metrics import get_scorer

        rows, scorer, scores = self.rows.newest(trial.share), get_scorer(DEFAULT_METRIC[self.recipe.task]), []
        try:
            with warnings.catch_warnings():
                # What a candidate says about convergence does not matter: its score does.
                warnings.simplefilter("ignore")
                for fitted, judged in self._folds(rows):
                    model = clone(self.pipeline).set_params(**{f"{STEP}{name}": value for name, value in trial.hyperparameters.items()})
                    weigh_classes(model, rows.labels[fitted], rows.classes)
                    model.fit(rows.features.iloc[fitted], rows.labels[fitted], **{name: values[fitted] for name, values in rows.fit_settings.items()})
                    scores.append(float(scorer(model, rows.features.iloc[judged], rows.labels[judged])))
        except (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError) as error:
            return -math.inf, str(error).replace("\n", " ")[:300]
        return (mean, "") if math.isfinite(mean := sum(scores) / len(scores)) else (-math.inf, "its score is not finite")

    def _folds(self, rows: SearchRows) -> Any:
        from sklearn.model_selection import GroupKFold, StratifiedKFold, TimeSeriesSplit

        count = self.settings.folds
        if self.settings.splits == "group":
            return GroupKFold(count).split(rows.features, rows.labels, rows.groups)
        if self.settings.splits == "stratified" and self.recipe.task == "classification":
            return StratifiedKFold(count, shuffle=True, random_state=self.recipe.seed).split(rows.features, rows.labels)
        return TimeSeriesSplit(count).split(rows.features, rows.labels)


def _named(trial: Trial) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(trial.hyperparameters.items()))
