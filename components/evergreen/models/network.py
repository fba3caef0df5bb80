"""What the forms of PyTorch modules and Keras models have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from evergreen.models.trust import ModelError

if TYPE_CHECKING:
    import numpy as np


class FittedNetwork(ABC, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A network that is the last step of a scikit-learn pipeline, fitted already; the network itself, ``_made``, is not saved but made again."""

    packages: tuple[str, ...] = ()
    """Distributions that are needed to load it."""

    def __getstate__(self) -> dict[str, Any]:
        """Return what is saved."""
        return {name: value for name, value in self.__dict__.items() if name != "_made"}

    def __sklearn_is_fitted__(self) -> bool:  # scikit-learn asks for it
        """Say that it is fitted."""
        return True

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  # the signature is scikit-learn's
        """Return nothing: its trainer took the hyperparameters."""
        return {}

    def fit(self, features: Any, labels: Any) -> FittedNetwork:  # noqa: ARG002  # the signature is scikit-learn's
        """Refuse: only its trainer knows how it is fitted.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"{type(self).__name__}: is fitted already. Call its trainer to fit one on other rows.")

    def predict(self, features: Any) -> np.ndarray[Any, Any]:
        """Return one prediction a row."""
        if not hasattr(self, "classes_"):
            return self._outputs(features).reshape(len(features))
        chosen: np.ndarray[Any, Any] = self.classes_[self.predict_proba(features).argmax(axis=1)]
        return chosen

    @abstractmethod
    def predict_proba(self, features: Any) -> np.ndarray[Any, Any]:
        """Return the probability of each class, shape (rows, classes)."""

    @abstractmethod
    def _outputs(self, features: Any) -> np.ndarray[Any, Any]:
        """Return what the network gives for each row."""
