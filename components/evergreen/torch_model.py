"""A PyTorch module that a trainer fitted, in the form that Evergreen saves: weights as safetensors, and the function that makes the module by name.

No pickle: what `torch.save` writes runs code when it is loaded, and a compiled module ties a model to one version of PyTorch. The function that
makes the module is code of the user's, so its name has to be trusted (``EVERGREEN_TRUSTED_TYPES``) wherever the model is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import MissingExtraError
from evergreen.models.network import FittedNetwork
from evergreen.models.trust import ModelError, check_trust

if TYPE_CHECKING:
    import torch

ROWS_AT_A_TIME = 16_384


class TorchModel(FittedNetwork):
    """A fitted module with ``predict`` and, for classes, ``predict_proba``.

    The module takes float32 features, shape (rows, columns), and gives one number a row for regression; for classification one logit a class,
    shape (rows, classes), or a single one for the second of two classes.
    """

    packages = ("torch", "safetensors")

    def __init__(self, module: torch.nn.Module, *, builder: str, arguments: dict[str, Any], classes: Sequence[Any] | None = None) -> None:
        """Take a fitted module.

        Args:
            module: The module; its weights are copied.
            builder: ``module:function`` of the function that makes a module of the same shape.
            arguments: The function's keyword arguments, plain values.
            classes: The classes in the order of the logits; None for regression.

        Raises:
            MissingExtraError: safetensors is not installed.
        """
        try:
            from safetensors.torch import save
        except ImportError as error:
            raise MissingExtraError("a PyTorch model", extra="torch") from error
        self.builder = builder
        self.arguments = dict(arguments)
        self.weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()})
        if classes is not None:
            self.classes_ = np.asarray(classes)

    def check_trust(self) -> None:
        """See that the user trusts the function that makes the module.

        Raises:
            ModelError: Nobody does.
        """
        check_trust(f"PyTorch model of {self.builder}", [self.builder])

    def predict_proba(self, features: Any) -> np.ndarray[Any, Any]:
        """Return the probability of each class, shape (rows, classes)."""
        logits = self._outputs(features).reshape(len(features), -1)
        if logits.shape[1] == 1:
            # One logit stands for the second class; the first one's is 0.
            logits = np.hstack([np.zeros_like(logits), logits])
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: np.ndarray[Any, Any] = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def _outputs(self, features: Any) -> np.ndarray[Any, Any]:
        import torch

        module, rows = self._module(), np.asarray(features, dtype=np.float32)
        with torch.inference_mode():
            parts = [module(torch.from_numpy(rows[start : start + ROWS_AT_A_TIME])).numpy() for start in range(0, len(rows), ROWS_AT_A_TIME)]
        outputs: np.ndarray[Any, Any] = np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, 1))
        return outputs

    def _module(self) -> torch.nn.Module:
        made: torch.nn.Module | None = self.__dict__.get("_made")
        if made is None:
            made = self.__dict__["_made"] = self._make()
        return made

    def _make(self) -> torch.nn.Module:
        # Here too, for loaders other than Evergreen's.
        self.check_trust()
        try:
            from safetensors.torch import load
        except ImportError as error:
            raise MissingExtraError("a PyTorch model", extra="torch") from error
        module_name, _, name = self.builder.partition(":")
        try:
            made: torch.nn.Module = getattr(import_module(module_name), name)(**self.arguments)
            made.load_state_dict(load(self.weights))
        except (ImportError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"PyTorch model of {self.builder}: the function, called with {self.arguments}, does not make a module for these weights: "
                f"{' '.join(str(error).split())} "
                "Install the version of its package that the model was trained with."
            ) from error
        return made.eval()
