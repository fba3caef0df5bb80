"""Base class of the saved forms of PyTorch modules and Keras models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from evergreen.models.trust import ModelError

if TYPE_CHECKING:
    import numpy as np


class FittedNetwork(ABC, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted network as the last step of a scikit-learn pipeline; the network itself, ``_made``, is not saved but rebuilt."""

    packages: tuple[str, ...] = ()
    """Distributions that are required to load it."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to save."""
        return {name: value for name, value in self.__dict__.items() if name != "_made"}

    def __sklearn_is_fitted__(self) -> bool:  # scikit-learn calls it
        """Return True: the network is already fitted."""
        return True

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  # the signature is scikit-learn's
        """Return no parameters: the hyperparameters belong to its trainer."""
        return {}

    def fit(self, features: Any, labels: Any) -> FittedNetwork:  # noqa: ARG002  # the signature is scikit-learn's
        """Always fail: only its trainer can fit it.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"{type(self).__name__}: is already fitted. Call its trainer to fit a model on other rows.")

    def predict(self, features: Any) -> np.ndarray[Any, Any]:
        """Return one prediction per row."""
        if not hasattr(self, "classes_"):
            return self._outputs(features).reshape(len(features))
        chosen: np.ndarray[Any, Any] = self.classes_[self.predict_proba(features).argmax(axis=1)]
        return chosen

    @abstractmethod
    def predict_proba(self, features: Any) -> np.ndarray[Any, Any]:
        """Return the probability of each class, shape (rows, classes)."""

    @abstractmethod
    def _outputs(self, features: Any) -> np.ndarray[Any, Any]:
        """Return the network's outputs for each row."""
