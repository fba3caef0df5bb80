"""The rows that both models are judged on: labelled and seen by neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.data.artifacts import is_present
from evergreen.data.columns import event_times, prepare_labels
from evergreen.data.times import iso_time
from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.forward_predictions import forward_predictions, has_forward
from evergreen.metrics.predictions import Predictions, join_predictions
from evergreen.models.files import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.models.fitted import FittedModel


@dataclass(frozen=True)
class ComparisonRows:
    """Rows to compare models on.

    Attributes:
        frame: The rows, oldest first.
        start: First event time, ISO, UTC; empty when there are no rows.
        end: Last event time, ISO, UTC.
        seen: Number of labelled holdout rows that were left out because a model has seen them.
        forward: Number of first rows whose predictions for the challenger were made in advance (see `evergreen.evaluation.forward_predictions`).
    """

    frame: pd.DataFrame
    start: str
    end: str
    seen: int
    forward: int = 0


def load_present(artifact: Any) -> FittedModel | None:
    """Return the model of an artifact, or None if the artifact is intentionally empty."""
    return load_model(artifact.path) if is_present(artifact) else None


def comparison_rows(frame: pd.DataFrame, models: Sequence[FittedModel]) -> ComparisonRows:
    """Return the labelled holdout rows at or after the newest ``fit_end`` of the models.

    A row that the challenger has seen counts if its prediction was made in advance. That prediction counts for a former champion, too, which has not
    seen the row but was chosen on it.

    Args:
        frame: The holdout.
        models: The models compared, the challenger first.

    Raises:
        EvaluationError: The holdout lacks the label or the event time.
    """
    target, timestamp = models[0].description.target_column, models[0].description.timestamp_column
    for name in (target, timestamp):
        if name not in frame.columns:
            raise EvaluationError(f"holdout_data lacks column {name!r}, which the challenger was trained with. Its columns: {', '.join(frame.columns)}.")
    times = event_times(frame[timestamp])
    labelled = frame[target].notna() & times.notna()
    ours, *theirs = (times >= pd.Timestamp(model.description.fit_end) for model in models)
    in_advance = has_forward(frame)
    unseen = labelled & (ours | in_advance)
    for theirs_unseen in theirs:
        unseen &= theirs_unseen
    rows = frame[unseen].assign(**{timestamp: times[unseen]}).sort_values(timestamp, kind="stable").reset_index(drop=True)
    start, end = (iso_time(rows[timestamp].iloc[0]), iso_time(rows[timestamp].iloc[-1])) if len(rows) else ("", "")
    return ComparisonRows(frame=rows, start=start, end=end, seen=int(labelled.sum() - unseen.sum()), forward=int((unseen & in_advance).sum()))


def challenger_predictions(model: FittedModel, rows: ComparisonRows, *, target_column: str) -> Predictions:
    """Return the challenger's predictions: those made in advance, and its own for the rows after them.

    Raises:
        ModelError: Features of the model are missing from the rows.
        ArtifactError: A column contains values of a different kind from those at training.
    """
    own = predictions_of(model, rows.frame.iloc[rows.forward :], target_column=target_column)
    if not rows.forward:
        return own
    older, classes = rows.frame.iloc[: rows.forward], model.description.classes
    return join_predictions(forward_predictions(older, labels=prepare_labels(older[target_column], classes), classes=classes), own)


def predictions_of(model: FittedModel, frame: pd.DataFrame, *, target_column: str) -> Predictions:
    """Return a model's predictions for labelled rows.

    Raises:
        ModelError: Features of the model are missing from the rows.
        ArtifactError: A column contains values of a different kind from those at training.
    """
    classes = model.description.classes
    labels = prepare_labels(frame[target_column], classes)
    return Predictions(labels=labels, predicted=model.predict(frame), probabilities=model.predict_probability(frame), classes=classes)
