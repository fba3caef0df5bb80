"""What a model said at training, kept beside it, so that whoever loads it anywhere can see that it still says the same."""

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
"""Models of single precision sum in another order for one row than for many, which changes the last digits; anything more is another answer."""


@dataclass(frozen=True)
class RecordedPredictions:
    """Rows as a request holds them, and a model's answers.

    Attributes:
        rows: One JSON object a row: features by name, times as ISO text, None where missing.
        predictions: One prediction a row.
        probabilities: Probability of each class, by row; None when the model gives none.
    """

    rows: list[dict[str, Any]]
    predictions: list[Any]
    probabilities: list[list[float]] | None = None


def as_requests(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON objects, as a client sends them: times as ISO text, missing values as None."""
    columns = {str(name): [None if gone else _value(value) for value, gone in zip(column, column.isna(), strict=True)] for name, column in frame.items()}
    return [{name: values[index] for name, values in columns.items()} for index in range(len(frame))]


def _value(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    found = plain(value)
    return found if isinstance(found, (bool, int, float, str)) else str(value)


def record_predictions(model: FittedModel, rows: pd.DataFrame) -> RecordedPredictions:
    """Return what a model says about at most 200 rows, spread evenly over the given ones.

    Args:
        model: The model as it was fitted.
        rows: Rows with at least the model's features.
    """
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(MOST_ROWS, len(rows))).astype(int))
    sample = rows[list(model.description.features)].iloc[chosen]
    probabilities = model.predict_probability(sample)
    return RecordedPredictions(as_requests(sample), model.predict(sample).tolist(), None if probabilities is None else probabilities.tolist())


def write_record(path: str | Path, record: RecordedPredictions) -> None:
    """Write a record into a model directory."""
    # Not indented: thousands of short lines take longer to write than all else in the directory.
    content = json.dumps(plain(vars(record)), sort_keys=True, ensure_ascii=False, allow_nan=False)
    (Path(path) / RECORD_FILE).write_text(content, encoding="utf-8")


def read_record(path: str | Path) -> RecordedPredictions:
    """Read the record in a model directory.

    Raises:
        ArtifactError: There is none, or it is broken.
    """
    content = read_json(Path(path) / RECORD_FILE)
    try:
        record = RecordedPredictions(**content)
        whole = len(record.rows) == len(record.predictions) > 0 and (record.probabilities is None or len(record.probabilities) == len(record.rows))
    except TypeError:
        whole = False
    if not whole:
        raise ArtifactError(f"{Path(path) / RECORD_FILE}: expected rows and as many predictions, found {', '.join(content)}. Train the model again.")
    return record


def differences(record: RecordedPredictions, predictions: list[Any], probabilities: list[list[float]] | None) -> int:
    """Return in how many rows new answers differ from the recorded ones; numbers may differ in their last digits.

    Args:
        record: The record.
        predictions: What is predicted now, for the record's first rows or all.
        probabilities: The probabilities now; not compared when either side has none.
    """
    count = len(predictions)
    then, now = np.asarray(record.predictions[:count]), np.asarray(predictions)
    number = then.dtype.kind == "f" or now.dtype.kind == "f"
    same = np.isclose(then.astype(float), now.astype(float), rtol=RELATIVE, atol=ABSOLUTE) if number else then == now
    if record.probabilities is not None and probabilities is not None:
        same &= np.isclose(record.probabilities[:count], probabilities, rtol=RELATIVE, atol=ABSOLUTE).all(axis=1)
    return int((~same).sum())
