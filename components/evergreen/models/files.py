"""Models on disk: an MLflow model directory saved with skops, together with Evergreen's metadata of the model.

Loading a pickle runs any code its author put in; a skops file holds named types, and the reader decides which to trust. Trust comes
from the reviewed list and from the person who runs the step, never from the file. MLflow's own loader reads the list of trusted types
from the model directory, so an attacker who writes the model also writes the list. This module does not use that loader.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import ModelDescription, read_json, write_json
from evergreen.models.fitted import FittedModel
from evergreen.models.trust import REVIEWED_TYPES, ModelError, _last_step, check_parts, check_trust, user_trusted_types
from evergreen.version import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from mlflow.models import Model

DESCRIPTION_FILE = "evergreen.json"
MODEL_FILE = "model.skops"
EXAMPLE_ROWS = 5


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
        pipeline: A fitted scikit-learn estimator that takes prepared features (see `evergreen.data.columns.prepare_features`).
        path: The directory to create; it must not exist, or must be empty.
        description: Metadata of the model. The types that the user had to trust are recorded in it.
        mlflow_model: The MLflow description to fill, when the model belongs to an MLflow run.
        rows: Rows with at least the features. The model's predictions for some of them are recorded with it, and a few
            are kept as MLflow's input example.

    Returns:
        The description as it was stored.

    Raises:
        ModelError: The pipeline contains untrusted types, or skops cannot save it.
    """
    import mlflow.sklearn
    import skops.io
    from mlflow.exceptions import MlflowException

    from evergreen.data.columns import prepare_features
    from evergreen.models.recorded_predictions import record_predictions, write_record

    directory = Path(path)
    if directory.is_file() or (directory.is_dir() and any(directory.iterdir())):
        raise ModelError(f"model directory {path}: is already in use. Choose a directory that does not exist yet.")
    check_parts(pipeline)
    try:
        # MLflow writes the pipeline and reads it back, trusting only these types; checking our own dump first would double the cost.
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
    """Delete the remains of a model that MLflow could not save, and return the error that explains why."""
    import shutil

    import skops.io

    found: list[str] = []
    # The file exists if the model could be written but not read back.
    with contextlib.suppress(Exception):
        found = skops.io.get_untrusted_types(file=directory / MODEL_FILE)
    shutil.rmtree(directory, ignore_errors=True)
    try:
        check_trust(f"model {estimator}", found)
    except ModelError as untrusted:
        return untrusted
    return ModelError(f"model {estimator}: skops cannot save it: {error.__cause__ or error}. Use an estimator defined in an installed package.")


def load_model(path: str | Path, *, trusted_types: Iterable[str] = ()) -> FittedModel:
    """Load a model directory written by `save_model`, trusting only reviewed types and those that the caller names.

    Args:
        path: The model directory.
        trusted_types: Types to trust in addition to the reviewed list and the environment's ``EVERGREEN_TRUSTED_TYPES``.

    Raises:
        ModelError: The directory holds no skops model, a pickle, or untrusted types.
        ArtifactError: ``evergreen.json`` is missing or damaged.
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
            f"model {file}: skops cannot read it: {error}. The file is damaged or was written by another version. Download the model from the registry again."
        ) from error
    check_parts(pipeline)
    return FittedModel(pipeline=pipeline, description=description)


def read_description(path: str | Path) -> ModelDescription:
    """Read the metadata of the model in a directory without loading the model.

    Raises:
        ArtifactError: ``evergreen.json`` is missing or is not a JSON object.
        ModelError: It has missing or unknown entries.
    """
    content = read_json(Path(path) / DESCRIPTION_FILE)
    try:
        return ModelDescription(**content)
    except TypeError as error:
        raise ModelError(f"model description {Path(path) / DESCRIPTION_FILE}: {error}. It was written by another version. Retrain the model.") from error


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
            f"model {directory}: is stored as {layout}, which runs code when loaded; expected skops. "
            f"Save it with serialization_format='skops' and register it again."
        )
    if not file.is_file():
        raise ModelError(
            f"model {directory}: has no {MODEL_FILE}, although its MLmodel file specifies the skops format. The copy is incomplete. Download it again."
        )
    return file


def _signature(description: ModelDescription) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [ColSpec("string" if kind == "category" else "double", name) for name, kind in description.features.items()]
    label = {"bool": "boolean", "int": "long", "str": "string"}[type(description.classes[0]).__name__] if description.classes else "double"
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec(label)]))


def _requirements(estimator: str, pipeline: Any) -> list[str]:
    """Return the pinned packages needed to serve the model. Listed here because MLflow's own inference loads the model in a second process."""
    from importlib.metadata import packages_distributions

    packages = {"mlflow", "scikit-learn", "skops", "numpy", "pandas"}
    if needed := getattr(_last_step(pipeline), "packages", ()):
        packages.update(("kfp-evergreen", *needed))
    # Finding a module's distribution scans all installed packages, so do it only for estimators from outside scikit-learn.
    if not estimator.startswith("sklearn."):
        packages.update(packages_distributions().get(estimator.partition(":")[0].split(".", maxsplit=1)[0], [])[:1])
    return sorted(f"{name}=={installed_version(name)}" for name in packages)
