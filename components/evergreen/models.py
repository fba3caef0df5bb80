"""Models on disk: an MLflow model directory saved with skops, and beside it what Evergreen knows of the model.

A pickle runs whatever its author put in; a skops file holds named types, and the reader says which it trusts. Trust comes from
the reviewed list below and from the person who runs the step, never from the file: MLflow's own loader reads the list
from the model's directory, so an attacker who writes the model writes the list. This module does not use that loader.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.artifacts import ModelDescription, read_json, write_json
from evergreen.errors import EvergreenError
from evergreen.threads import fitting_threads
from evergreen.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pandas as pd
    from mlflow.models import Model

DESCRIPTION_FILE = "evergreen.json"
MODEL_FILE = "model.skops"
EXAMPLE_ROWS = 5
TRUSTED_TYPES_VARIABLE = "EVERGREEN_TRUSTED_TYPES"
"""Environment variable: comma-separated types that the user trusts beside the reviewed ones."""

REVIEWED_TYPES = (
    # skops trusts most of scikit-learn and NumPy by itself. These are the compiled or private classes that scikit-learn's pipelines, linear
    # models, trees, forests, boosters, neighbours and calibration keep in a fitted model. Each holds arrays and numbers only,
    # and none runs code that the file brings. Found with skops.io.get_untrusted_types on fitted models; skops before 0.14 needs the losses.
    # LightGBM's and XGBoost's estimators hold their trees as text or bytes that their own parsers read.
    # Evergreen's own hold weights as safetensors, or a .keras file that is read in safe mode; the function that makes a PyTorch module is asked for on its own.
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


@dataclass(frozen=True)
class FittedModel:
    """A fitted scikit-learn pipeline and what is known of it."""

    pipeline: Any
    description: ModelDescription

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return the prediction for each row, as the labels' type or float64.

        Args:
            frame: Rows with at least the model's features, in any order.

        Raises:
            ModelError: Features are missing from the frame.
            ArtifactError: A feature holds values of another kind than at training.
        """
        import numpy as np

        features = self._features(frame)
        with fitting_threads(*features.shape):
            predicted: np.ndarray[Any, Any] = np.asarray(self.pipeline.predict(features))
        return predicted

    def predict_probability(self, frame: pd.DataFrame) -> np.ndarray[Any, Any] | None:
        """Return the probability of each class, shape (rows, classes), or None when the model gives none."""
        import numpy as np

        if self.description.task != "classification" or not hasattr(self.pipeline, "predict_proba"):
            return None
        features = self._features(frame)
        with fitting_threads(*features.shape):
            probability: np.ndarray[Any, Any] = np.asarray(self.pipeline.predict_proba(features), dtype=np.float64)
        return probability

    def _features(self, frame: pd.DataFrame) -> pd.DataFrame:
        from evergreen.columns import prepare_features

        missing = [name for name in self.description.features if name not in frame.columns]
        if missing:
            raise ModelError(
                f"model {self.description.challenger_id}: the rows lack the features {', '.join(missing)}; they have {', '.join(map(str, frame.columns))}. "
                "Give it rows with the columns it was fitted on, or train a new model."
            )
        return prepare_features(frame, self.description.features)


def save_model(
    pipeline: Any,
    path: str | Path,
    *,
    description: ModelDescription,
    mlflow_model: Model | None = None,
    rows: pd.DataFrame | None = None,
) -> ModelDescription:
    """Save a fitted pipeline as an MLflow model directory with ``evergreen.json`` inside.

    Args:
        pipeline: A fitted scikit-learn estimator that takes prepared features (see `evergreen.columns.prepare_features`).
        path: The directory to make; it must not exist or must be empty.
        description: What is known of the model. The types that the user had to trust are added to it as a record.
        mlflow_model: The MLflow description to fill, when the model belongs to an MLflow run.
        rows: Rows with at least the features. What the model says about some of them is recorded beside it, and a few
            are kept as MLflow's input example.

    Returns:
        The description as it was stored.

    Raises:
        ModelError: The pipeline holds types that nobody trusts, or skops cannot save it.
    """
    import mlflow.sklearn
    import skops.io
    from mlflow.exceptions import MlflowException

    from evergreen.columns import prepare_features
    from evergreen.recorded_predictions import record_predictions, write_record

    directory = Path(path)
    if directory.is_file() or (directory.is_dir() and any(directory.iterdir())):
        raise ModelError(f"model directory {path}: is in use. Name one that does not exist yet.")
    check_parts(pipeline)
    try:
        # MLflow dumps the pipeline and reads it back, trusting only these: a dump of our own, to look at first, would cost as much again.
        mlflow.sklearn.save_model(
            pipeline,
            str(path),
            serialization_format="skops",
            skops_trusted_types=[*REVIEWED_TYPES, *user_trusted_types()],
            signature=_signature(description),
            mlflow_model=mlflow_model,
            input_example=None if rows is None else prepare_features(rows.head(EXAMPLE_ROWS), description.features),
            pip_requirements=_requirements(description.estimator, pipeline),
        )
    except MlflowException as error:
        raise _unsaved(directory, description.estimator, error) from error
    found = skops.io.get_untrusted_types(file=directory / MODEL_FILE) if user_trusted_types() else []
    stored = replace(description, trusted_types=[name for name in found if name not in REVIEWED_TYPES])
    write_json(directory / DESCRIPTION_FILE, stored)
    if rows is not None:
        write_record(path, record_predictions(FittedModel(pipeline, stored), rows))
    return stored


def _unsaved(directory: Path, estimator: str, error: Exception) -> ModelError:
    """Take away what was written of a model that MLflow refused, and return the error that says why."""
    import shutil

    import skops.io

    found: list[str] = []
    # There is a file when it could be written and not be read back.
    with contextlib.suppress(Exception):
        found = skops.io.get_untrusted_types(file=directory / MODEL_FILE)
    shutil.rmtree(directory, ignore_errors=True)
    try:
        check_trust(f"model {estimator}", found)
    except ModelError as untrusted:
        return untrusted
    return ModelError(f"model {estimator}: skops cannot save it: {error.__cause__ or error}. Use an estimator defined in an installed package.")


def load_model(path: str | Path, *, trusted_types: Iterable[str] = ()) -> FittedModel:
    """Load a model directory that `save_model` wrote, trusting only reviewed types and those that the caller names.

    Args:
        path: The model directory.
        trusted_types: More types to trust, beside the reviewed list and the environment's ``EVERGREEN_TRUSTED_TYPES``.

    Raises:
        ModelError: The directory holds no skops model, a pickle, or types that nobody trusts.
        ArtifactError: ``evergreen.json`` is absent or broken.
    """
    import skops.io

    directory = Path(path)
    file = _skops_file(directory)
    description = read_description(directory)
    try:
        found = skops.io.get_untrusted_types(file=file)
        check_trust(f"model {directory}", found, trusted_types)
        pipeline = skops.io.load(file, trusted=found)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"model {file}: skops cannot read it: {error}. The file is damaged or from another version; take the model from the registry again."
        ) from error
    check_parts(pipeline)
    return FittedModel(pipeline=pipeline, description=description)


def read_description(path: str | Path) -> ModelDescription:
    """Read what is known of the model in a directory, without loading the model.

    Raises:
        ArtifactError: ``evergreen.json`` is absent or no JSON object.
        ModelError: It lacks entries or has unknown ones.
    """
    content = read_json(Path(path) / DESCRIPTION_FILE)
    try:
        return ModelDescription(**content)
    except TypeError as error:
        raise ModelError(f"model description {Path(path) / DESCRIPTION_FILE}: {error}. It was written by another version; train the model again.") from error


def user_trusted_types() -> list[str]:
    """Return the types that the user trusts through the environment."""
    return [name.strip() for name in os.environ.get(TRUSTED_TYPES_VARIABLE, "").split(",") if name.strip()]


def check_trust(thing: str, found: Iterable[str], more: Iterable[str] = ()) -> None:
    """See that every type, or function that makes a part of a model, is trusted.

    Args:
        thing: What holds them, for the message.
        found: Their names.
        more: Names that are trusted beside the reviewed list and the environment's.

    Raises:
        ModelError: One is not trusted.
    """
    strange = sorted(set(found) - set(REVIEWED_TYPES) - set(user_trusted_types()) - set(more))
    if strange:
        raise ModelError(
            f"{thing}: holds types that are not trusted: {', '.join(strange)}. If you know where the model comes from and trust these types, "
            f"set the environment variable {TRUSTED_TYPES_VARIABLE}={','.join(strange)} for every step that reads it."
        )


def check_parts(pipeline: Any) -> None:
    """Let a pipeline's last step, where it brings code of its own, see that this is trusted.

    Raises:
        ModelError: It is not.
    """
    last = _last_step(pipeline)
    if hasattr(last, "check_trust"):
        last.check_trust()


def _last_step(pipeline: Any) -> Any:
    return pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline


def _skops_file(directory: Path) -> Path:
    import yaml

    try:
        content = yaml.safe_load((directory / "MLmodel").read_text(encoding="utf-8"))
        flavor = content["flavors"]["sklearn"]
        layout = flavor.get("serialization_format", "pickle")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"model {directory}: expected an MLflow model directory with a scikit-learn model, but its MLmodel file cannot be used: {error!r}."
        ) from error
    file = directory / MODEL_FILE
    if layout != "skops" or flavor.get("pickled_model", MODEL_FILE) != MODEL_FILE:
        raise ModelError(
            f"model {directory}: is stored as {layout}, which runs code when it is loaded; expected skops. "
            f"Save it with serialization_format='skops' and register it again."
        )
    if not file.is_file():
        raise ModelError(f"model {directory}: has no {MODEL_FILE}, although its MLmodel file names the skops format. The copy is incomplete; fetch it again.")
    return file


def _signature(description: ModelDescription) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [ColSpec("string" if kind == "category" else "double", name) for name, kind in description.features.items()]
    label = {"bool": "boolean", "int": "long", "str": "string"}[type(description.classes[0]).__name__] if description.classes else "double"
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec(label)]))


def _requirements(estimator: str, pipeline: Any) -> list[str]:
    """Return pinned packages that serve the model. Named here because MLflow's own inference loads the model in a second process."""
    from importlib.metadata import packages_distributions

    packages = {"mlflow", "scikit-learn", "skops", "numpy", "pandas"}
    if needed := getattr(_last_step(pipeline), "packages", ()):
        packages.update(("kfp-evergreen", *needed))
    # Finding a package's distribution looks through all that is installed: only for estimators from elsewhere.
    if not estimator.startswith("sklearn."):
        packages.update(packages_distributions().get(estimator.partition(":")[0].split(".", maxsplit=1)[0], [])[:1])
    return sorted(f"{name}=={installed_version(name)}" for name in packages)
