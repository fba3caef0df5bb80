"""A fitted Keras model in the form that Evergreen saves: Keras' own ``.keras`` format, which holds layer names and weights.

It is loaded in Keras' safe mode, which rejects layers that contain code (``Lambda``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import MissingExtraError
from evergreen.models.network import FittedNetwork
from evergreen.models.trust import ModelError

if TYPE_CHECKING:
    import keras

ROWS_AT_A_TIME = 4096


class KerasModel(FittedNetwork):
    """A fitted Keras model with ``predict`` and, for classification, ``predict_proba``.

    The model returns one number per row for regression. For classification it returns probabilities of shape (rows, classes), or only the
    probability of the second of two classes.
    """

    packages = ("keras",)

    def __init__(self, model: keras.Model, *, classes: Sequence[Any] | None = None) -> None:
        """Wrap a fitted model.

        Args:
            model: The model; it is serialized immediately.
            classes: The classes in the order of the probabilities; None for regression.

        Raises:
            ModelError: The model cannot be saved, or cannot be loaded in safe mode.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            model.save(file)
            self.file = file.read_bytes()
        if classes is not None:
            self.classes_ = np.asarray(classes)
        self._model()

    def predict_proba(self, features: Any) -> np.ndarray[Any, Any]:
        """Return the probability of each class, shape (rows, classes)."""
        said = self._outputs(features).reshape(len(features), -1)
        return np.hstack([1.0 - said, said]) if said.shape[1] == 1 else said

    def _outputs(self, features: Any) -> np.ndarray[Any, Any]:
        rows = np.asarray(features, dtype=np.float32)
        return np.asarray(self._model().predict(rows, batch_size=ROWS_AT_A_TIME, verbose=0), dtype=np.float64)

    def _model(self) -> keras.Model:
        made: keras.Model | None = self.__dict__.get("_made")
        if made is None:
            made = self.__dict__["_made"] = self._read()
        return made

    def _read(self) -> keras.Model:
        try:
            import keras
        except ImportError as error:
            raise MissingExtraError("a Keras model", extra="keras") from error
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            file.write_bytes(self.file)
            try:
                return keras.saving.load_model(file, compile=False, safe_mode=True)
            except (ValueError, TypeError, OSError, AttributeError) as error:
                raise ModelError(
                    f"Keras model: cannot be loaded in safe mode: {error}. Use only Keras' built-in layers, and none that contain code."
                ) from error
