"""Predictions recorded with a model at training time, so that any loader can verify that it still makes the same predictions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.artifacts import read_json
from evergreen.data.json_values import plain
from evergreen.errors import ArtifactError

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.models.fitted import FittedModel

RECORD_FILE = "recorded_predictions.json"
MOST_ROWS = 200
RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Single-precision models sum in a different order for one row than for many, which changes the last digits. Larger differences are errors."""


@dataclass(frozen=True)
class RecordedPredictions:
    """Rows in request form, and a model's predictions for them.

    Attributes:
        rows: One JSON object per row: features by name, times as ISO text, None where missing.
        predictions: One prediction per row.
        probabilities: Probability of each class per row; None if the model has no probabilities.
    """

    rows: list[dict[str, Any]]
    predictions: list[Any]
    probabilities: list[list[float]] | None = None


def as_requests(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON objects in the form that a client sends: times as ISO text, missing values as None."""
    columns = {str(name): [None if gone else _value(value) for value, gone in zip(column, column.isna(), strict=True)] for name, column in frame.items()}
    return [{name: values[index] for name, values in columns.items()} for index in range(len(frame))]


def _value(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    found = plain(value)
    return found if isinstance(found, (bool, int, float, str)) else str(value)


def record_predictions(model: FittedModel, rows: pd.DataFrame) -> RecordedPredictions:
    """Record a model's predictions for at most 200 rows, spread evenly over the given rows.

    Args:
        model: The fitted model.
        rows: Rows with at least the model's features.
    """
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(MOST_ROWS, len(rows))).astype(int))
    sample = rows[list(model.description.features)].iloc[chosen]
    probabilities = model.predict_probability(sample)
    return RecordedPredictions(as_requests(sample), model.predict(sample).tolist(), None if probabilities is None else probabilities.tolist())


def write_record(path: str | Path, record: RecordedPredictions) -> None:
    """Write a record into a model directory."""
    # Not indented: thousands of short lines would take longer to write than everything else in the directory.
    content = json.dumps(plain(vars(record)), sort_keys=True, ensure_ascii=False, allow_nan=False)
    (Path(path) / RECORD_FILE).write_text(content, encoding="utf-8")


def read_record(path: str | Path) -> RecordedPredictions:
    """Read the record in a model directory.

    Raises:
        ArtifactError: The record is missing or damaged.
    """
    content = read_json(Path(path) / RECORD_FILE)
    try:
        record = RecordedPredictions(**content)
        whole = len(record.rows) == len(record.predictions) > 0 and (record.probabilities is None or len(record.probabilities) == len(record.rows))
    except TypeError:
        whole = False
    if not whole:
        raise ArtifactError(f"{Path(path) / RECORD_FILE}: expected rows and as many predictions, found {', '.join(content)}. Retrain the model.")
    return record


def differences(record: RecordedPredictions, predictions: list[Any], probabilities: list[list[float]] | None) -> int:
    """Count the rows whose new predictions differ from the recorded ones; numbers may differ in their last digits.

    Args:
        record: The record.
        predictions: The current predictions, for all rows of the record or only its first ones.
        probabilities: The current probabilities; not compared if either side has none.
    """
    count = len(predictions)
    then, now = np.asarray(record.predictions[:count]), np.asarray(predictions)
    number = then.dtype.kind == "f" or now.dtype.kind == "f"
    same = np.isclose(then.astype(float), now.astype(float), rtol=RELATIVE, atol=ABSOLUTE) if number else then == now
    if record.probabilities is not None and probabilities is not None:
        same &= np.isclose(record.probabilities[:count], probabilities, rtol=RELATIVE, atol=ABSOLUTE).all(axis=1)
    return int((~same).sum())
