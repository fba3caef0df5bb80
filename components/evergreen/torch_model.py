"""A fitted PyTorch module in the form that Evergreen saves: weights as safetensors, plus the name of the function that builds the module.

No pickle: loading a file written by `torch.save` runs code, and a compiled module ties a model to one version of PyTorch. The function that
builds the module is user code, so its name must be trusted (``EVERGREEN_TRUSTED_TYPES``) wherever the model is loaded.
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
    """A fitted module with ``predict`` and, for classification, ``predict_proba``.

    The module takes float32 features of shape (rows, columns). It returns one number per row for regression. For classification it returns one
    logit per class, shape (rows, classes), or a single logit for the second of two classes.
    """

    packages = ("torch", "safetensors")

    def __init__(self, module: torch.nn.Module, *, builder: str, arguments: dict[str, Any], classes: Sequence[Any] | None = None) -> None:
        """Wrap a fitted module.

        Args:
            module: The module; its weights are copied.
            builder: ``module:function`` path of the function that builds a module of the same architecture.
            arguments: Keyword arguments of the function, as plain values.
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
        """Check that the user trusts the function that builds the module.

        Raises:
            ModelError: The function is not trusted.
        """
        check_trust(f"PyTorch model of {self.builder}", [self.builder])

    def predict_proba(self, features: Any) -> np.ndarray[Any, Any]:
        """Return the probability of each class, shape (rows, classes)."""
        logits = self._outputs(features).reshape(len(features), -1)
        if logits.shape[1] == 1:
            # A single logit belongs to the second class; the first class gets logit 0.
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
        # Checked again here because loaders other than Evergreen's do not call check_trust().
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
                f"PyTorch model of {self.builder}: the function, called with {self.arguments}, does not build a module that fits these weights: "
                f"{' '.join(str(error).split())} "
                "Install the package version that the model was trained with."
            ) from error
        return made.eval()
