"""A fitted model on disk, for tests of the steps that are given one."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from evergreen.data.artifacts import ModelDescription

FEATURES = {"temperature": "number", "pressure": "number", "humidity": "number", "city": "category"}


class ModelShelf:
    """Model directories that were made for a test, kept to be copied for the next that asks for the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, place: Path, rows: pd.DataFrame, description: ModelDescription) -> None:
        """Fit a model as described on rows, unless that was done before, and put a directory with it at a place that does not exist yet."""
        import pandas as pd

        contents = pd.util.hash_pandas_object(rows).to_numpy().tobytes() + repr([list(rows.columns), rows.dtypes.tolist(), description]).encode()
        kept = self._folder / hashlib.sha256(contents).hexdigest()
        if not kept.exists():
            _fit_and_save(kept, rows, description)
        shutil.copytree(kept, place)


def _fit_and_save(place: Path, rows: pd.DataFrame, description: ModelDescription) -> None:
    from evergreen.models.files import save_model
    from evergreen.training.fit import fit_recipe
    from evergreen.training.recipe import Recipe

    recipe = Recipe(description.task, description.estimator, {}, description.seed)
    fit = fit_recipe(recipe, rows, target_column=description.target_column, features=description.features, classes=description.classes)
    save_model(fit.pipeline, place, description=description, rows=rows)


def fitted_model(
    shelf: ModelShelf,
    folder: Path,
    name: str,
    rows: pd.DataFrame,
    *,
    fit_end: str,
    task: str = "classification",
    features: dict[str, str] | None = None,
    target: str = "rain",
    estimator: str = "",
) -> Any:
    """Return the artifact of a model that was fitted on rows, in a directory of its own."""
    from kfp import dsl

    from evergreen.data.artifacts import ModelDescription

    kind = "LogisticRegression" if task == "classification" else "Ridge"
    description = ModelDescription(
        task=task,
        target_column=target,
        timestamp_column="time",
        features=features or FEATURES,
        classes=sorted(rows[target].unique().tolist()) if task == "classification" else [],
        fit_start="2019-01-01T00:00:00Z",
        fit_end=fit_end,
        rows=len(rows),
        estimator=estimator or f"sklearn.linear_model.{kind}",
        hyperparameters={},
        seed=7,
        data_fingerprint="f",
        challenger_id=f"id-{name}",
    )
    shelf.put(folder / name, rows, description)
    return dsl.Model(name=name, uri=str(folder / name), metadata={"present": True, "version": "3"})
