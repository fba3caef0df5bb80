"""The types that a model file may contain: the reviewed ones, and those that the user names.

Trust comes from the reviewed list and from the person who runs the step, never from the file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from collections.abc import Iterable


TRUSTED_TYPES_VARIABLE = "EVERGREEN_TRUSTED_TYPES"
"""Environment variable with comma-separated types that the user trusts in addition to the reviewed ones."""


REVIEWED_TYPES = (
    # skops itself trusts most of scikit-learn and NumPy. These are the compiled or private classes that scikit-learn's pipelines, linear
    # models, trees, forests, boosters, neighbours and calibration keep in a fitted model. Each holds only arrays and numbers,
    # and none runs code from the file. Found with skops.io.get_untrusted_types on fitted models; skops before 0.14 needs the losses.
    # LightGBM's and XGBoost's estimators hold their trees as text or bytes that their own parsers read.
    # Evergreen's own classes hold weights as safetensors, or a .keras file that is loaded in safe mode; the function that builds a PyTorch
    # module is checked separately.
    "collections.OrderedDict",
    "evergreen.keras_model.KerasModel",
    "evergreen.torch_model.TorchModel",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn._loss._loss.CyAbsoluteError",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfGammaLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfPoissonLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss._loss.CyHalfTweedieLoss",
    "sklearn._loss._loss.CyHalfTweedieLossIdentity",
    "sklearn._loss._loss.CyPinballLoss",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.ExponentialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)


class ModelError(EvergreenError):
    """A model directory cannot be written, trusted, read, or used on the given rows."""


def user_trusted_types() -> list[str]:
    """Return the types that the user trusts by setting the environment variable."""
    return [name.strip() for name in os.environ.get(TRUSTED_TYPES_VARIABLE, "").split(",") if name.strip()]


def check_trust(thing: str, found: Iterable[str], more: Iterable[str] = ()) -> None:
    """Check that every type, or function that builds a part of a model, is trusted.

    Args:
        thing: What contains the types, for the error message.
        found: Names of the types.
        more: Names to trust in addition to the reviewed list and the environment variable.

    Raises:
        ModelError: A type is not trusted.
    """
    strange = sorted(set(found) - set(REVIEWED_TYPES) - set(user_trusted_types()) - set(more))
    if strange:
        raise ModelError(
            f"{thing}: contains untrusted types: {', '.join(strange)}. If you know where the model comes from and trust these types, "
            f"set the environment variable {TRUSTED_TYPES_VARIABLE}={','.join(strange)} for every step that loads it."
        )


def check_parts(pipeline: Any) -> None:
    """Check that the code used by a pipeline's last step, if any, is trusted.

    Raises:
        ModelError: The code is not trusted.
    """
    last = _last_step(pipeline)
    if hasattr(last, "check_trust"):
        last.check_trust()


def _last_step(pipeline: Any) -> Any:
    return pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline
