"""Settings of a hyperparameter search: its space, method and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from evergreen.settings.reading import read_settings
from evergreen.settings.strict import StrictSettings
from evergreen.storage.local_paths import check_values
from evergreen.storage.uris import is_nothing
from evergreen.training.class_weights import with_text_keys
from evergreen.training.errors import TrainingError

MOST_CANDIDATES = 500


class ValueRange(StrictSettings):
    """A range of numbers from low to high, both included.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether to sample on a logarithmic scale.
        whole: Whether to try only integers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _check_order(self) -> ValueRange:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} must be above 0 when log is true")
        return self


class SearchSettings(StrictSettings):
    """A hyperparameter search.

    Attributes:
        n_iter: Maximum number of candidates.
        space: For each hyperparameter, a list of values, or a range such as ``{low: 0.01, high: 0.3, log: true}``.
        method: ``random``; ``halving``, where the best third continues to the next round with three times as many rows (Jamieson and Talwalkar, AISTATS
            2016); or ``optuna``, whose tree-structured Parzen estimator learns from earlier candidates (Bergstra and others, NeurIPS 2011).
        splits: How candidates are scored: ``time``, on the rows that follow those they were fitted on; ``stratified``, which ignores time;
            or ``group``, which keeps all rows of a group on one side.
        group_column: Column that contains the groups.
        folds: Number of folds.
        seconds: Time limit after which no further candidate is started; the number of candidates then depends on the machine.
        patience: Number of candidates without improvement after which the search ends.
        warm_start: Whether the champion's hyperparameters are the first candidate, if it uses the same estimator.
    """

    n_iter: Annotated[int, Field(ge=1, le=MOST_CANDIDATES)]
    space: Annotated[dict[str, Annotated[list[Any], Field(min_length=1)] | ValueRange], Field(min_length=1)]
    method: Literal["random", "halving", "optuna"] = "random"
    splits: Literal["time", "stratified", "group"] = "time"
    group_column: str = "none"
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    seconds: Annotated[float, Field(gt=0)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    warm_start: bool = False

    @model_validator(mode="after")
    def _check_together(self) -> SearchSettings:
        if (self.splits == "group") == is_nothing(self.group_column):
            raise ValueError("splits: group and group_column must be used together")
        if self.method == "halving" and self.patience is not None:
            raise ValueError("method halving does not support patience")
        return self


def parse_search(text: str) -> dict[str, Any]:
    """Read a search: ``none``, or inline JSON or YAML or its path or URI, such as ``{"n_iter": 10, "space": {"max_depth": [3, 6]}}``.

    Returns:
        The given entries of `SearchSettings` in JSON form, with the keys of mappings as text; empty if there is no search.

    Raises:
        TrainingError: The text is not a valid search; the message names each invalid entry.
    """
    if is_nothing(text):
        return {}
    if text.strip() == "default":
        raise TrainingError("training_search 'default': there is no default search. Use none, or an object such as {n_iter: 10, space: {max_depth: [3, 6]}}.")
    given: dict[str, Any] = with_text_keys(read_settings(text, SearchSettings, parameter="training_search", error=TrainingError).model_dump(exclude_unset=True))
    check_values(given["space"], thing="training_search: space", error_class=TrainingError)
    return given
