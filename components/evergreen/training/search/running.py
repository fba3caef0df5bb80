"""Runs a hyperparameter search: scores candidates on folds of the rows and chooses the best one."""

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
    """The rows on which candidates are fitted and scored, oldest first.

    Attributes:
        features: Prepared features.
        labels: One label per row.
        fit_settings: Passed to the pipeline's ``fit``; arrays with one value per row.
        groups: Group of each row, or None.
        classes: All classes, including those missing from these rows; empty for regression.
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
    """Return the recipe's hyperparameters combined with the best ones found by the search.

    By default, each candidate is fitted on the past and scored on what follows (time-series cross-validation; Bergmeir and Benitez,
    Information Sciences 191, 2012), with the default metric of the task. One line per candidate is written to standard error.

    Args:
        pipeline: The unfitted pipeline; its last step is named ``model``.
        recipe: The recipe with its search.
        rows: Rows on which candidates are fitted and scored.
        memory: Store for scores, including those of a killed attempt.

    Raises:
        TrainingError: The space names an unknown hyperparameter, or no candidate could be fitted.
        MissingExtraError: The search requires a package that is not installed.
    """
    if not recipe.search:
        return recipe.hyperparameters
    settings = SearchSettings(**recipe.search)
    space = searched_space(settings, pipeline.named_steps["model"], recipe.estimator)
    search = _Search(pipeline, recipe, settings, rows, memory)
    search.run(trials_of(settings, space, recipe.seed))
    return {**recipe.hyperparameters, **plain(search.chosen())}


def score_trials(trials: Sequence[Trial], pipeline: Any, recipe: Recipe, rows: SearchRows, *, memory: SearchMemory | None = None) -> list[ScoredTrial]:
    """Score the given trials like the search would, until its time limit; at least one is scored.

    Args:
        trials: The trials in order; not empty.
        pipeline: Same as for `search_hyperparameters`.
        recipe: The recipe, whose search determines the folds, the time limit and the metric.
        rows: Rows on which candidates are fitted and scored.
        memory: Store for scores, including those of a killed attempt.
    """
    settings = SearchSettings(**recipe.search).model_copy(update={"n_iter": len(trials)})
    search = _Search(pipeline, replace(recipe, first_candidate={}), settings, rows, memory)
    search.run(_given(trials))
    return search.scored


def searched_space(settings: SearchSettings, estimator: Any, path: str) -> dict[str, list[Any] | ValueRange]:
    """Return the space of a search, with integers where the estimator requires them.

    Args:
        settings: The search.
        estimator: The unfitted estimator.
        path: Its import path, for messages.

    Raises:
        TrainingError: The space names an unknown hyperparameter.
    """
    check_names(estimator, dict(settings.space), path)
    return {
        name: values if isinstance(values, ValueRange) else [whole_where_needed(estimator, name, value) for value in values]
        for name, values in settings.space.items()
    }


def nothing_fitted(settings: SearchSettings, rows: int, trouble: str) -> TrainingError:
    """Return the error for a search in which no candidate could be fitted, with the reason."""
    return TrainingError(
        f"training_search: no candidate could be fitted on {settings.folds} folds of {rows} rows: {trouble[:500].rstrip('.')}. Correct the space."
    )


@dataclass(frozen=True)
class ScoredTrial:
    """A completed trial, its score (minus infinity if it could not be fitted), and the reason if it failed."""

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
        # The first candidate is always tried, regardless of the time limit.
        return bool(self.scored) and (late or (self.settings.patience is not None and self.waited >= self.settings.patience))

    def _try(self, trial: Trial) -> float:
        known = self.memory.score_of(trial) if self.memory else None
        score, error = (known, "") if known is not None else self._score(trial)
        self.scored.append(ScoredTrial(trial, score, error))
        self.trouble = error or self.trouble
        # Scores on more rows take precedence: the last round of halving decides.
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
        return f"{self.settings.n_iter}, with the better ones repeated" if self.settings.method == "halving" else f"at most {self.settings.n_iter}"

    def _score(self, trial: Trial) -> tuple[float, str]:
        """Return a trial's mean score over the folds, or minus infinity and the reason why it could not be fitted."""
        import numpy as np
        from sklearn.base import clone
        from sklearn.metrics import get_scorer

        rows, scorer, scores = self.rows.newest(trial.share), get_scorer(DEFAULT_METRIC[self.recipe.task]), []
        try:
            with warnings.catch_warnings():
                # Convergence warnings of a candidate do not matter, only its score.
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
