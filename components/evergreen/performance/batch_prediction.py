"""Scores a dataset with the champion and logs the predictions until the labels arrive."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, is_present, read_frame, write_absent
from evergreen.performance.errors import PerformanceError
from evergreen.performance.prediction_log import PredictionBatch, checked_keys, write_prediction_log
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    import pandas as pd

NOW, EVENT_TIME = "now", "event_time"


@dataclass
class BatchPrediction:
    """The result of a batch prediction; its fields are those of the step's record.

    Attributes:
        outcome: ``predicted`` or ``no champion``.
        rows: Number of predictions.
        model_name: Name of the registered model.
        model_version: Its version.
        predicted_at: Time of the first prediction, ISO, UTC.
        mean_confidence: Mean probability of the predicted class; None without probabilities.
    """

    outcome: str
    rows: int = 0
    model_name: str = ""
    model_version: str = ""
    predicted_at: str = ""
    mean_confidence: float | None = None


def predict_batch(
    *, model: Any, data: Any, prediction_log: Any, key_column: str, timestamp_column: str, model_name: str, predicted_at: str, log_features: bool
) -> BatchPrediction:
    """Score rows with the champion and write the prediction log.

    Args:
        model: The champion's model artifact; may be absent.
        data: The rows.
        prediction_log: Output artifact for the log.
        key_column: Column that identifies a row.
        timestamp_column: Name of the event time column, or ``none``.
        model_name: Name of the registered model; ``none`` uses the name in the metadata from load_champion.
        predicted_at: ``now``, ``event_time`` or an ISO time.
        log_features: Whether the log includes the features.

    Raises:
        PerformanceError: A column is missing, a key is missing or occurs twice, or the time cannot be parsed.
        ModelError: The model cannot be loaded, or the rows lack some of its features.
    """
    if not is_present(model):
        write_absent(prediction_log)
        return BatchPrediction("no champion")
    import pandas as pd

    from evergreen.data.columns import event_times
    from evergreen.data.times import iso_time
    from evergreen.models.files import load_model

    champion, rows = load_model(model.path), read_frame(data.path)
    for role, name in (("key_column", key_column), ("timestamp_column", timestamp_column)):
        if name not in rows.columns and not (role == "timestamp_column" and is_nothing(name)):
            raise PerformanceError(f"Unknown column {name!r} in {role}. Columns of the data: {', '.join(map(str, rows.columns))}.")
    keys = checked_keys(rows[key_column], f"key_column {key_column!r}")
    times = None if is_nothing(timestamp_column) else event_times(rows[timestamp_column])
    description = champion.description
    probabilities = champion.predict_probability(rows)
    batch = PredictionBatch(
        keys=keys,
        predicted=champion.predict(rows),
        predicted_at=_predicted_at(predicted_at, times),
        model_name=str(model.metadata.get("model_name", "")) if is_nothing(model_name) else model_name,
        model_version=str(model.metadata.get("version", "unknown")),
        probabilities=probabilities,
        classes=description.classes,
        event_times=times,
        features=rows[list(description.features)] if log_features else None,
    )
    count = write_prediction_log(prediction_log.path, batch)
    confidence = float(probabilities.max(axis=1).mean()) if probabilities is not None and count else math.nan
    first = batch.predicted_at if isinstance(batch.predicted_at, pd.Timestamp) else batch.predicted_at.min()
    found = BatchPrediction(
        "predicted", count, batch.model_name, batch.model_version, iso_time(first) if count else "", None if math.isnan(confidence) else confidence
    )
    prediction_log.metadata.update({PRESENT: True, "rows": count, "model_name": found.model_name, "model_version": found.model_version})
    return found


def _predicted_at(given: str, times: pd.Series[pd.Timestamp] | None) -> Any:
    import pandas as pd

    if given == NOW:
        return pd.Timestamp.now(tz="UTC").floor("us")
    if given == EVENT_TIME:
        if times is None:
            raise PerformanceError("predicted_at 'event_time' requires a timestamp_column. Set it, or use 'now'.")
        return times
    try:
        time = pd.Timestamp(given)
    except ValueError as error:
        raise PerformanceError(f"Invalid predicted_at {given!r}: expected now, event_time or an ISO time such as 2026-01-31T00:00:00Z.") from error
    return time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")
