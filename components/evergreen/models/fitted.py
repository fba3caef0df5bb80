"""A fitted model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.models.threads import fitting_threads
from evergreen.models.trust import ModelError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from evergreen.data.artifacts import ModelDescription


@dataclass(frozen=True)
class FittedModel:
    """A fitted scikit-learn pipeline and its metadata."""

    pipeline: Any
    description: ModelDescription

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return the prediction for each row, as the type of the labels or float64.

        Args:
            frame: Rows with at least the model's features, in any order.

        Raises:
            ModelError: The frame lacks features.
            ArtifactError: A feature holds values of a different kind than at training.
        """
        import numpy as np

        features = self._features(frame)
        with fitting_threads(*features.shape):
            predicted: np.ndarray[Any, Any] = np.asarray(self.pipeline.predict(features))
        return predicted

    def predict_probability(self, frame: pd.DataFrame) -> np.ndarray[Any, Any] | None:
        """Return the probability of each class, shape (rows, classes), or None if the model has no probabilities."""
        import numpy as np

        if self.description.task != "classification" or not hasattr(self.pipeline, "predict_proba"):
            return None
        features = self._features(frame)
        with fitting_threads(*features.shape):
            probability: np.ndarray[Any, Any] = np.asarray(self.pipeline.predict_proba(features), dtype=np.float64)
        return probability

    def _features(self, frame: pd.DataFrame) -> pd.DataFrame:
        from evergreen.data.columns import prepare_features

        missing = [name for name in self.description.features if name not in frame.columns]
        if missing:
            raise ModelError(
                f"model {self.description.challenger_id}: the rows lack the features {', '.join(missing)}; they have {', '.join(map(str, frame.columns))}. "
                "Pass rows with the columns it was fitted on, or train a new model."
            )
        return prepare_features(frame, self.description.features)
