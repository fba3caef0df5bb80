"""Predictions of repeated forward validation, which travel with the holdout as columns of its rows.

They were made for rows that the challenger itself was fitted on later, by a model that had seen only older rows. The gate pools them with the
challenger's own predictions for the rows after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.metrics.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import pandas as pd

PREDICTION, PROBABILITY = "evergreen.forward.prediction", "evergreen.forward.probability."


def with_forward(rows: pd.DataFrame, predictions: Predictions) -> pd.DataFrame:
    """Return rows with predictions for the first of them as additional columns.

    Args:
        rows: Rows, oldest first.
        predictions: Predictions for the first ``len(predictions)`` rows.
    """
    missing = len(rows) - len(predictions)
    padded = np.concatenate([predictions.predicted.astype(object), np.full(missing, None, dtype=object)])
    columns: dict[str, np.ndarray[Any, Any]] = {PREDICTION: padded}
    if predictions.probabilities is not None:
        unknown = np.full(missing, np.nan)
        columns |= {f"{PROBABILITY}{position}": np.concatenate([values, unknown]) for position, values in enumerate(predictions.probabilities.T)}
    return rows.assign(**columns)


def has_forward(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows have a prediction made in advance."""
    import pandas as pd

    return rows[PREDICTION].notna() if PREDICTION in rows.columns else pd.Series(False, index=rows.index)


def forward_predictions(rows: pd.DataFrame, *, labels: np.ndarray[Any, Any], classes: Sequence[Any]) -> Predictions:
    """Return the predictions in rows that all have one.

    Args:
        rows: The rows.
        labels: Their labels.
        classes: The classes in the order of the probabilities; empty for regression.
    """
    from evergreen.data.columns import prepare_labels

    names = [f"{PROBABILITY}{position}" for position in range(len(classes))]
    known = bool(names) and all(name in rows.columns for name in names)
    predicted = prepare_labels(rows[PREDICTION], classes) if len(classes) else rows[PREDICTION].to_numpy(dtype=np.float64)
    return Predictions(labels, predicted, rows[names].to_numpy(dtype=np.float64) if known else None, classes)
