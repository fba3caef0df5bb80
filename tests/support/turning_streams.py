"""Rows whose relation between inputs and label turns round, and champions from before the turn, for tests of the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.models.fitted import FittedModel
from evergreen.training.description import fit_part
from evergreen.training.recipe import Recipe
from evergreen.training.training_rows import TrainingRows, feature_kinds, label_classes, training_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGISTIC = "sklearn.linear_model.LogisticRegression"
TURN = "2020-10-01"


def stream(
    *, days: int = 360, per_day: int = 6, turn: str | None = TURN, task: str = "binary", seed: int = 0, noise: float = 0.4, ties: int = 0
) -> pd.DataFrame:
    """Return rows from 2020-01-01; at ``turn``, the relation turns round. ``ties`` rows share each time; 0 spreads rows over the day."""
    random = np.random.default_rng(seed)
    rows = days * per_day
    step = pd.Timedelta(days=1) / per_day
    places = np.arange(rows) // ties * ties if ties else np.arange(rows)
    times = pd.Timestamp("2020-01-01", tz="UTC") + step * places
    inputs = random.normal(size=(rows, 3))
    sign = np.where(times >= pd.Timestamp(turn, tz="UTC"), -1.0, 1.0) if turn else np.ones(rows)
    signal = sign * (inputs[:, 0] + 0.5 * inputs[:, 1]) + random.normal(0, noise, rows)
    labels: Any = {"binary": lambda: (signal > 0).astype(int), "regression": lambda: signal, "three": lambda: np.digitize(signal, [-0.6, 0.6])}[task]()
    return pd.DataFrame({"time": times, "a": inputs[:, 0], "b": inputs[:, 1], "c": inputs[:, 2], "rain": labels})


def rows_of(frame: pd.DataFrame) -> TrainingRows:
    return training_rows(frame, {"fingerprint": "f"}, target_column="rain", timestamp_column="time")


def recipe_of(task: str = "classification", estimator: str = "", **changes: Any) -> Recipe:
    usual = LOGISTIC if task == "classification" else "sklearn.linear_model.Ridge"
    return Recipe(task, estimator or usual, changes.pop("hyperparameters", {}), 7, **changes)


def fitted(rows: TrainingRows, recipe: Recipe, *, since: str = "2020-01-01", until: str = "2020-09-01", classes: Sequence[Any] | None = None) -> FittedModel:
    """Return a model of the rows of a time."""
    first, before = (int(rows.times.searchsorted(pd.Timestamp(time, tz="UTC"))) for time in (since, until))
    known = label_classes(rows.frame[rows.target_column], recipe.task)[1] if classes is None else list(classes)
    fit, description = fit_part(
        rows, recipe, features=feature_kinds(rows.frame, rows.feature_names), classes=known, identifier=f"fitted-{since}-{until}", first=first, before=before
    )
    return FittedModel(fit.pipeline, description)
