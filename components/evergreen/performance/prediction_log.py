"""The prediction log: a model's predictions, kept until the labels arrive. Batch prediction and model servers write the same format.

A log is a Parquet file, or a folder of them to which a server adds files over time. Version 1 of the format:

================== ==================== ==================================================================================
column             type                 meaning
================== ==================== ==================================================================================
prediction_key     string               key for joining labels; unique per model version
model_name         string               the registered model
model_version      string               its version
predicted_at       timestamp[us, UTC]   when the prediction was made
event_time         timestamp[us, UTC]   event time of the row; null if it has none
prediction         the label's own type boolean, int64 or string; double for regression
probability_CLASS  double               the probability of each class, one column per class; none for regression or without probabilities
feature_NAME       the feature's type   the inputs of the prediction; optional
================== ==================== ==================================================================================

The schema's metadata contains ``evergreen.prediction_log.version`` ("1") and ``evergreen.classes``, a JSON list of the classes in
their own type and in the order of the model's probabilities, empty for regression.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import open_table
from evergreen.data.json_values import plain
from evergreen.errors import ArtifactError
from evergreen.performance.errors import PerformanceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    import pyarrow as pa

VERSION = "1"
VERSION_KEY, CLASSES_KEY = b"evergreen.prediction_log.version", b"evergreen.classes"
KEY, MODEL_NAME, MODEL_VERSION = "prediction_key", "model_name", "model_version"
PREDICTED_AT, EVENT_TIME, PREDICTION = "predicted_at", "event_time", "prediction"
PROBABILITY, FEATURE = "probability_", "feature_"
COLUMNS = (KEY, MODEL_NAME, MODEL_VERSION, PREDICTED_AT, EVENT_TIME, PREDICTION)


@dataclass(frozen=True)
class PredictionBatch:
    """Predictions of one model version for some rows.

    Attributes:
        keys: Keys for joining labels, shape (rows,), unique, none missing.
        predicted: The predictions, shape (rows,).
        predicted_at: When they were made, UTC: one time for all, or one for each.
        model_name: Name of the registered model.
        model_version: Its version.
        probabilities: Shape (rows, classes), or None.
        classes: The classes in the order of the probabilities; empty for regression.
        event_times: Event time of each row, or None.
        features: Inputs of the predictions, one row per prediction, or None.
    """

    keys: Sequence[Any] | pd.Series[Any]
    predicted: np.ndarray[Any, Any]
    predicted_at: pd.Timestamp | pd.Series[pd.Timestamp]
    model_name: str
    model_version: str
    probabilities: np.ndarray[Any, Any] | None = None
    classes: Sequence[Any] = ()
    event_times: pd.Series[pd.Timestamp] | None = None
    features: pd.DataFrame | None = None


@dataclass(frozen=True)
class PredictionLog:
    """A log read from disk.

    Attributes:
        frame: Its columns, with rows in the order in which they were written.
        classes: The classes, in the order of the probabilities; empty for regression.
        clock_jumps: How many times, within a file, a row was predicted before the preceding one, because the clock jumped back.
    """

    frame: pd.DataFrame
    classes: list[Any]
    clock_jumps: int = 0


def write_prediction_log(path: str | Path, batch: PredictionBatch) -> int:
    """Write a batch of predictions as one file of a log; the file is written completely or not at all.

    Args:
        path: The file to write.
        batch: The predictions.

    Returns:
        Number of rows.

    Raises:
        PerformanceError: A key is missing or occurs twice.
    """
    import pyarrow.parquet as pq

    table = prediction_table(batch)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    pq.write_table(table, unfinished)
    unfinished.replace(target)
    return int(table.num_rows)


def prediction_table(batch: PredictionBatch) -> pa.Table:
    """Return a batch as a table in the log's format.

    Raises:
        PerformanceError: A key is missing or occurs twice.
    """
    import pandas as pd
    import pyarrow as pa

    times = pa.timestamp("us", tz="UTC")
    rows = len(batch.predicted)
    columns: dict[str, Any] = {
        KEY: pa.array(checked_keys(pd.Series(batch.keys), "key"), type=pa.string()),
        MODEL_NAME: pa.array([batch.model_name] * rows, type=pa.string()),
        MODEL_VERSION: pa.array([batch.model_version] * rows, type=pa.string()),
        PREDICTED_AT: _times(batch.predicted_at, rows).cast(times),
        EVENT_TIME: pa.nulls(rows, times) if batch.event_times is None else _times(batch.event_times, rows).cast(times),
        PREDICTION: pa.array(batch.predicted.tolist(), type=None if len(batch.classes) else pa.float64()),
    }
    if batch.probabilities is not None:
        for position, label in enumerate(batch.classes):
            columns[f"{PROBABILITY}{label}"] = pa.array(batch.probabilities[:, position], type=pa.float64())
    if batch.features is not None:
        for name in batch.features.columns:
            columns[f"{FEATURE}{name}"] = pa.array(batch.features[name], from_pandas=True)
    metadata = {VERSION_KEY: VERSION.encode(), CLASSES_KEY: json.dumps([plain(label) for label in batch.classes]).encode()}
    return pa.table(columns).replace_schema_metadata(metadata)


def read_prediction_log(path: str | Path) -> PredictionLog:
    """Read a log from a file or a folder of files.

    Raises:
        ArtifactError: The file does not exist or is not Parquet.
        PerformanceError: It is not a prediction log, has a different format version, or its files are from models with different classes.
    """
    import pandas as pd

    tables = [fragment.to_table() for fragment in open_table(path).get_fragments()]
    classes = [_classes(table.schema, path) for table in tables]
    for found in classes[1:]:
        if found != classes[0]:
            raise PerformanceError(f"prediction log {path}: its files have different classes, {classes[0]} and {found}. Read the logs of one model at a time.")
    frames = [table.to_pandas() for table in tables]
    # No tolerance is needed, because all rows of a batch have the same time.
    jumps = sum(int((frame[PREDICTED_AT].diff() < pd.Timedelta(0)).sum()) for frame in frames)
    return PredictionLog(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0], classes[0], jumps)


def checked_keys(keys: pd.Series[Any], name: str) -> pd.Series[str]:
    """Return keys as text, with integers written without a decimal point.

    Raises:
        PerformanceError: A key is missing or occurs twice.
    """
    missing = int(keys.isna().sum())
    if missing:
        raise PerformanceError(f"{name}: {missing} of {len(keys)} rows have no key, which is needed to join labels. Fill it in, or omit the rows.")
    text = key_text(keys)
    twice = text[text.duplicated()]
    if len(twice):
        raise PerformanceError(f"{name} {twice.iloc[0]!r}: occurs more than once ({twice.nunique()} such keys); expected unique keys. Choose another column.")
    return text


def key_text(keys: pd.Series[Any]) -> pd.Series[str]:
    """Return keys as text; an integer that became a float because of missing values remains the same key."""
    import pandas as pd

    from evergreen.data.columns import CATEGORY, prepare_features

    return pd.Series(prepare_features(keys.to_frame("key"), {"key": CATEGORY})["key"].to_numpy(), index=keys.index, dtype=object)


def _times(given: Any, rows: int) -> Any:
    import pandas as pd
    import pyarrow as pa

    from evergreen.data.columns import event_times

    column = pd.Series([given] * rows) if isinstance(given, pd.Timestamp) else given
    return pa.array(event_times(column).dt.as_unit("us").to_numpy(), from_pandas=True).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))


def _classes(schema: pa.Schema, path: str | Path) -> list[Any]:
    metadata = schema.metadata or {}
    version = metadata.get(VERSION_KEY)
    if version is None:
        raise PerformanceError(f"{path} is not a prediction log; expected Parquet written by batch_predict or an Evergreen model server.")
    if version.decode() != VERSION:
        raise PerformanceError(f"Prediction log {path} has version {version.decode()!r}; this release reads version {VERSION}. Upgrade Evergreen.")
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise PerformanceError(f"Prediction log {path} lacks the columns {', '.join(missing)}; it has {', '.join(schema.names)}. Add the missing columns.")
    try:
        classes = json.loads(metadata.get(CLASSES_KEY, b"[]"))
    except ValueError as error:
        raise ArtifactError(f"prediction log {path}: its {CLASSES_KEY.decode()} is not a JSON list: {error}. Write the log again.") from error
    return list(classes)
