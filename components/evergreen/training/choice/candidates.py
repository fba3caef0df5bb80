"""The candidates for a challenger: models of several training windows, former champions, and the constant baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.columns import prepare_labels
from evergreen.data.times import iso_time, parse_time
from evergreen.errors import ArtifactError
from evergreen.metrics.predictions import Predictions, ScoringError
from evergreen.models.fitted import FittedModel
from evergreen.models.trust import ModelError
from evergreen.results.candidates import Candidate
from evergreen.training.description import fit_part
from evergreen.training.errors import TrainingError
from evergreen.training.holdout import FEWEST_FIT_ROWS
from evergreen.training.memory import sample_positions
from evergreen.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.data.artifacts import Origin
    from evergreen.training.training_rows import TrainingRows

TOO_FEW = "too few rows to fit on"
MOST_FIT_ROWS = 5_000
"""Larger training windows are represented by a random sample of their rows while candidates are compared."""


@dataclass(frozen=True)
class ChoiceRows:
    """What all candidates learn from and are scored on.

    Attributes:
        rows: All labelled rows, oldest first.
        features: Kind of each feature.
        classes: The classes; empty for regression.
    """

    rows: TrainingRows
    features: dict[str, str]
    classes: list[Any]

    def predictions(self, model: FittedModel, first: int, before: int) -> Predictions:
        """Return a model's predictions for consecutive rows.

        Raises:
            ScoringError: The model cannot predict these rows.
        """
        part = self.rows.frame.iloc[first:before]
        known = model.description.classes
        # Compare the types, too: True equals 1.
        if [(type(value), value) for value in known] != [(type(value), value) for value in self.classes]:
            raise ScoringError(f"it knows the classes {known[:5]}, and the labels have {self.classes[:5]}.")
        try:
            labels = prepare_labels(part[self.rows.target_column], known)
            return Predictions(labels, model.predict(part), model.predict_probability(part), known)
        except (ModelError, ArtifactError) as error:
            raise ScoringError(str(error)) from error


class Contender(ABC):
    """A candidate that can be scored.

    Attributes:
        origin: What it is.
        name: What it is, for a person.
    """

    origin: Origin
    name: str

    @abstractmethod
    def predictions(self, context: ChoiceRows, *, known: int, first: int, before: int) -> Predictions:
        """Return its predictions for the rows from ``first`` up to ``before``, learned from rows before ``known`` only.

        Raises:
            TrainingError: It cannot be fitted on these rows.
            ScoringError: It cannot predict them.
        """

    @abstractmethod
    def described(self, context: ChoiceRows, known: int) -> Candidate:
        """Return its description as fitted on rows before ``known``."""


@dataclass(frozen=True)
class TrainedContender(Contender):
    """The recipe, fitted on the rows since a certain one.

    Attributes:
        name: What it learns from, for a person.
        recipe: The recipe, with the half-life of the weights among its options.
        first_row: Position of the first row to learn from.
        half_life_days: Half-life of the weights; None if all rows count the same.
        origin: ``trained`` or ``constant baseline``.
    """

    name: str
    recipe: Recipe
    first_row: int
    half_life_days: float | None = None
    origin: Origin = "trained"
    _fitted: dict[int, FittedModel] = field(default_factory=dict, repr=False, compare=False)

    def predictions(self, context: ChoiceRows, *, known: int, first: int, before: int) -> Predictions:
        """Fit on at most 5,000 of the rows, once, and predict."""
        if known not in self._fitted:
            self._fitted[known] = self._fit(context, known)
        return context.predictions(self._fitted[known], first, before)

    def final_recipe(self, asked: Recipe) -> Recipe:
        """Return the recipe of the challenger: the one asked for, search included, with the half-life that was chosen."""
        if self.origin == "constant baseline":
            return self.recipe
        return replace(asked, options=self.recipe.options)

    def described(self, context: ChoiceRows, known: int) -> Candidate:
        """Return its description; its number of rows is that of the whole training window."""
        return Candidate(self.origin, self.name, iso_time(context.rows.times.iloc[self.first_row]), self.half_life_days, max(0, known - self.first_row))

    def _fit(self, context: ChoiceRows, known: int) -> FittedModel:
        count = known - self.first_row
        if count < FEWEST_FIT_ROWS:
            raise TrainingError(f"{TOO_FEW}: {max(0, count)}; at least {FEWEST_FIT_ROWS} are required.")
        rows, first, before = context.rows, self.first_row, known
        if count > MOST_FIT_ROWS:
            chosen = self.first_row + sample_positions(count, MOST_FIT_ROWS, self.recipe.seed)
            rows = replace(rows, frame=rows.frame.iloc[chosen], times=rows.times.iloc[chosen])
            first, before = 0, len(chosen)
        settled = context.rows.times.iloc[known]
        fit, description = fit_part(
            rows, self.recipe, features=context.features, classes=context.classes, identifier=self.name, first=first, before=before, fit_end=settled
        )
        if description.classes and len(description.classes) < len(context.classes):
            raise TrainingError(f"its rows hold {len(description.classes)} of {len(context.classes)} classes.")
        return FittedModel(fit.pipeline, description)


@dataclass(frozen=True)
class FormerChampion(Contender):
    """A former champion, as it was.

    Attributes:
        version: Its version.
        model: The model.
        origin: What it is.
        name: Its version, for a person.
    """

    version: str
    model: FittedModel
    origin: Origin = "former champion"
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"version {self.version}")

    def predictions(self, context: ChoiceRows, *, known: int, first: int, before: int) -> Predictions:  # noqa: ARG002 - it was fitted long ago
        """Predict, unless it has seen these rows."""
        if parse_time(self.model.description.fit_end) > context.rows.times.iloc[first]:
            raise ScoringError(f"it was fitted up to {self.model.description.fit_end} and has seen these rows.")
        return context.predictions(self.model, first, before)

    def described(self, context: ChoiceRows, known: int) -> Candidate:  # noqa: ARG002 - nothing about it depends on the rows
        """Return its description."""
        found = self.model.description
        return Candidate(self.origin, self.name, found.fit_start, rows=found.rows)


BASELINES = {"classification": ("sklearn.dummy.DummyClassifier", {"strategy": "prior"}), "regression": ("sklearn.dummy.DummyRegressor", {"strategy": "median"})}


def constant_baseline(recipe: Recipe, first_row: int) -> TrainedContender:
    """Return the constant baseline of the rows since a certain one: the shares of the classes, or the median of the labels."""
    path, settings = BASELINES[recipe.task]
    return TrainedContender("constant baseline", Recipe(recipe.task, path, dict(settings), recipe.seed), first_row, origin="constant baseline")


def trained_contenders(recipe: Recipe, rows: TrainingRows, *, starts: Sequence[int], half_lives: Sequence[float | None], before: int) -> list[TrainedContender]:
    """Return one contender for each start and half-life, the ones with the fewest rows first.

    Args:
        recipe: The recipe.
        rows: All labelled rows.
        starts: Positions of the first rows to learn from.
        half_lives: Half-lives of the weights in days; None for equal weights.
        before: Position of the first row that none of them learns from.
    """
    found: list[TrainedContender] = []
    names = _names(rows, starts)
    for start in sorted(names, reverse=True):
        span = (rows.times.iloc[before] - rows.times.iloc[start]).total_seconds() / 86_400
        # Over less than a half-life, weights hardly differ from equal ones.
        useful = [half_life for half_life in half_lives if half_life is None or half_life < span]
        found += [TrainedContender(_name(names[start], half_life), _weighted(recipe, half_life), start, half_life) for half_life in useful]
    return found


def _weighted(recipe: Recipe, half_life: float | None) -> Recipe:
    # A search runs once, for the candidate that is chosen.
    plain = replace(recipe, search={}, first_candidate={}, hyperparameters={**recipe.hyperparameters, **recipe.first_candidate})
    return plain if half_life is None else replace(plain, options={**recipe.options, "recency_half_life_days": half_life})


def _names(rows: TrainingRows, starts: Sequence[int]) -> dict[int, str]:
    """Return what each training window is called: by the day of its first row, or by the time of day where several begin on one day."""
    times = {start: iso_time(rows.times.iloc[start]) for start in set(starts)}
    days = [time[:10] for time in times.values()]
    return {start: "all rows" if start == 0 else f"rows since {time[:10] if days.count(time[:10]) == 1 else time}" for start, time in times.items()}


def _name(since: str, half_life: float | None) -> str:
    return since if half_life is None else f"{since}, weights halved every {half_life:g} days"
