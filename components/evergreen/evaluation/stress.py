"""How predictions change when one feature is missing, out of range, or an unseen category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.columns import BOOLEAN, CATEGORY
from evergreen.evaluation.checks import Check, within

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.models.fitted import FittedModel

MOST_ROWS = 1000
FAR = 10.0
UNSEEN = "a category that was never seen"


def check_stress(model: FittedModel, frame: pd.DataFrame, *, limit: float | None, label_spread: float) -> list[Check]:
    """Corrupt one feature at a time in at most 1,000 rows and compare the predictions.

    All features get missing values; numbers also get values ten ranges above the maximum, and categories get one that does not exist.

    Args:
        model: The challenger.
        frame: The compared rows.
        limit: Maximum change: the share of rows whose class changes; for regression, the mean change in standard deviations of the label.
        label_spread: Standard deviation of the label, for regression.

    Returns:
        One check per kind of corruption, about the feature with the largest change; failed if the model raises an error.
    """
    rows = frame if len(frame) <= MOST_ROWS else frame.iloc[:: -(-len(frame) // MOST_ROWS)]
    usual = model.predict(rows)
    kinds = model.description.features
    ways = {
        "missing values": list(kinds),
        "values out of range": [name for name, kind in kinds.items() if kind == "number"],
        "unseen categories": [name for name, kind in kinds.items() if kind == CATEGORY],
    }
    return [_worst(model, rows, usual, way, names, limit=limit, spread=label_spread) for way, names in ways.items() if names]


def _worst(model: FittedModel, rows: pd.DataFrame, usual: Any, way: str, names: list[str], *, limit: float | None, spread: float) -> Check:
    changes: dict[str, float] = {}
    for name in names:
        spoiled = rows.assign(**{name: _spoil(rows[name], way, model.description.features[name])})
        try:
            said = model.predict(spoiled)
        except Exception as error:  # noqa: BLE001  # any error of the estimator is the finding, because a served model would raise it, too
            return Check(f"stress: {way}", "failed", f"With {way} in {name!r}, the model fails: {type(error).__name__}: {str(error)[:200]}")
        if model.description.task == "regression" and not np.isfinite(said).all():
            return Check(f"stress: {way}", "failed", f"With {way} in {name!r}, the model predicts non-finite numbers.")
        different = said != usual if model.description.task == "classification" else np.abs(said - usual) / (spread or 1.0)
        changes[name] = float(np.mean(different))
    worst = max(changes, key=changes.__getitem__)
    unit = " of the rows" if model.description.task == "classification" else " standard deviations of the label"
    return within(f"stress: {way}", changes[worst], limit, what=f"The largest change with {way} (feature {worst!r})", unit=unit, details={"changes": changes})


def _spoil(column: pd.Series[Any], way: str, kind: str) -> Any:
    import pandas as pd

    if way == "unseen categories":
        return UNSEEN
    if way == "missing values":
        return pd.Series(pd.NA if kind == BOOLEAN else None, index=column.index, dtype="boolean" if kind == BOOLEAN else object)
    numbers = pd.to_numeric(column)
    return float(numbers.max() + FAR * ((numbers.max() - numbers.min()) or 1.0)) if numbers.notna().any() else FAR
