from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen.data.artifacts import ModelDescription
from evergreen.models.files import save_model
from evergreen.training.fit import fit_recipe
from evergreen.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

FEATURES = {"temperature": "number", "pressure": "number", "humidity": "number", "city": "category"}


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Any]:
    """Fit a model on rows and save it; returns its artifact."""

    def make(
        name: str,
        rows: pd.DataFrame,
        *,
        fit_end: str,
        task: str = "classification",
        features: dict[str, str] | None = None,
        target: str = "rain",
        estimator: str = "",
    ) -> Any:
        kind = "LogisticRegression" if task == "classification" else "Ridge"
        recipe = Recipe(task, estimator or f"sklearn.linear_model.{kind}", {}, 7)
        chosen = features or FEATURES
        classes = sorted(rows[target].unique().tolist()) if task == "classification" else []
        fit = fit_recipe(recipe, rows, target_column=target, features=chosen, classes=classes)
        description = ModelDescription(
            task=task,
            target_column=target,
            timestamp_column="time",
            features=chosen,
            classes=classes,
            fit_start="2019-01-01T00:00:00Z",
            fit_end=fit_end,
            rows=len(rows),
            estimator=recipe.estimator,
            hyperparameters={},
            seed=7,
            data_fingerprint="f",
            challenger_id=f"id-{name}",
        )
        save_model(fit.pipeline, tmp_path / name, description=description, rows=rows)
        return dsl.Model(name=name, uri=str(tmp_path / name), metadata={"present": True, "version": "3"})

    return make
