"""What policies share while they are replayed together: models fitted on the same rows, what those predict, and what follows from both.

Everything here is deterministic, so that sharing changes no result.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from evergreen.models.fitted import FittedModel
from evergreen.training.challenger import fit_all

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from evergreen.data.artifacts import ModelDescription
    from evergreen.training.fit import Fit
    from evergreen.training.plan import TrainingPlan
    from evergreen.training.recipe import Recipe
    from evergreen.training.training_rows import TrainingRows

Made = TypeVar("Made")
MOST_REMEMBERED = 500
"""Results that are kept: all of a window of twenty policies, as policies are replayed in step."""
MOST_MODELS = 12
"""Models that are kept in addition to the champions; forests may take hundreds of megabytes each."""


class Shared:
    """Remembers results by their inputs; the oldest are forgotten first."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._fits: OrderedDict[str, tuple[Fit, ModelDescription]] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return the result of a key, made the first time that it is asked for."""
        if key not in self._results:
            self._results[key] = make()
            while len(self._results) > MOST_REMEMBERED:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        made: Made = self._results[key]
        return made

    def challenger(self, plan: TrainingPlan, rows: TrainingRows, *, classes: list[Any]) -> SharedModel:
        """Return the challenger of a plan; a former champion is the model that it was."""
        if plan.former is not None:
            former = plan.former.model
            token = former.token if isinstance(former, SharedModel) else plan.identifier
            return SharedModel(former.pipeline, plan.fit(rows, classes=classes)[1], token, self)
        token = _token(rows, plan.recipe, classes, first=plan.first, before=plan.before, origin=plan.origin)
        return self._model(token, plan.identifier, lambda: plan.fit(rows, classes=classes))

    def fit_all(self, rows: TrainingRows, recipe: Recipe, *, features: dict[str, str], classes: list[Any], identifier: str, since: str = "") -> SharedModel:
        """Return a model of all rows, or of those since a certain time; see `evergreen.training.challenger.fit_all`."""
        token = _token(rows, recipe, classes, features=features, since=since)
        return self._model(token, identifier, lambda: fit_all(rows, recipe, features=features, classes=classes, identifier=identifier, since=since))

    def _model(self, token: str, identifier: str, make: Callable[[], tuple[Fit, ModelDescription]]) -> SharedModel:
        if token not in self._fits:
            self._fits[token] = make()
            while len(self._fits) > MOST_MODELS:
                self._fits.popitem(last=False)
        self._fits.move_to_end(token)
        fit, description = self._fits[token]
        return SharedModel(fit.pipeline, replace(description, challenger_id=identifier), token, self)


@dataclass(frozen=True)
class SharedModel(FittedModel):
    """A model of a backtest. It predicts the same rows only once, as several policies score the same champion on the same window.

    Attributes:
        token: What it was fitted on and how; equal for models that are equal.
        shared: Where its predictions are remembered.
    """

    token: str = ""
    shared: Shared = field(default_factory=Shared, repr=False, compare=False)

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return the prediction for each row; see `FittedModel.predict`."""
        predicted: np.ndarray[Any, Any] = self._once("predict", frame, super().predict).copy()
        return predicted

    def predict_probability(self, frame: pd.DataFrame) -> np.ndarray[Any, Any] | None:
        """Return the probability of each class; see `FittedModel.predict_probability`."""
        probability = self._once("probability", frame, super().predict_probability)
        return None if probability is None else probability.copy()

    def _once(self, what: str, frame: pd.DataFrame, predict: Callable[[pd.DataFrame], Any]) -> Any:
        names = [name for name in self.description.features if name in frame.columns]
        # With a feature missing, the model says so itself.
        if len(names) < len(self.description.features):
            return predict(frame)
        return self.shared.once((what, self.token, content_of(frame[names])), lambda: predict(frame))


def rows_name(window: pd.DataFrame) -> str:
    """Return a name for rows of a timeline, by their numbers in it: a fingerprint that costs next to nothing."""
    numbers = window.index
    if isinstance(numbers, pd.RangeIndex):
        return f"rows {numbers.start} to {numbers.stop} by {numbers.step}"
    return f"{len(numbers)} rows {hashlib.sha256(numbers.to_numpy(dtype=np.int64).tobytes()).hexdigest()}"


def content_of(frame: pd.DataFrame) -> str:
    """Return a fingerprint of the values of a frame and of their types."""
    digest = hashlib.sha256(repr([(name, str(kind)) for name, kind in frame.dtypes.items()]).encode())
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype) and isinstance(column.dtype, np.dtype):
            digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
        else:
            content = pd.api.types.infer_dtype(column, skipna=True)
            digest.update(content.encode())
            # In a column of mixed types, 1 and "1" are different values.
            values = column.map(lambda value: f"{type(value).__name__} {value}") if content.startswith("mixed") else column
            digest.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _token(rows: TrainingRows, recipe: Recipe, classes: list[Any], **more: Any) -> str:
    # The end of the window is stated in the model's description, and so part of what makes two models equal.
    parts = (rows.fingerprint, len(rows.frame), rows.window_end.isoformat(), sorted(asdict(recipe).items()), [repr(value) for value in classes], more)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
