"""The ``training`` section of the policy, on how rows are used: weights by age, sampling, encoding of high-cardinality categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from evergreen.settings.strict import StrictSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from evergreen.training.recipe import Recipe


class TrainingSettings(StrictSettings):
    """How the rows are used.

    Attributes:
        recency_half_life_days: Age in days at which a row counts half as much as the newest; None to weight all rows equally.
        sample_rows: Maximum number of rows to read; a random sample is drawn from larger data.
        encoding: Encoding of categories: ``automatic`` (one column per category up to 50, otherwise the mean of the target), ``one-hot`` or ``target``.
    """

    recency_half_life_days: Annotated[float, Field(gt=0)] | None = None
    sample_rows: Annotated[int, Field(ge=100)] | None = None
    encoding: Literal["automatic", "one-hot", "target"] = "automatic"

    def given(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as plain values."""
        return self.model_dump(exclude_defaults=True)


def recency_weights(times: pd.Series[pd.Timestamp], half_life_days: float | None) -> np.ndarray[Any, Any] | None:
    """Return the weight of each row, 1 for the newest and halved for each half-life of age, or None if all rows count the same.

    Args:
        times: Event time of each row.
        half_life_days: Age in days at which the weight of a row is halved.
    """
    import numpy as np

    if half_life_days is None:
        return None
    age_days = (times.max() - times).dt.total_seconds().to_numpy() / 86_400
    weights: np.ndarray[Any, Any] = np.exp2(-age_days / half_life_days)
    return weights


def row_weights(recipe: Recipe, times: pd.Series[pd.Timestamp]) -> np.ndarray[Any, Any] | None:
    """Return the weight of each row by its age, or None if all rows count the same."""
    return recency_weights(times, TrainingSettings(**recipe.options).recency_half_life_days)
