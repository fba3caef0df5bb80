"""Which rows count, and the champion's predictions for them: made now or taken from the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.errors import ArtifactError
from evergreen.metrics.predictions import Predictions, ScoringError
from evergreen.performance.errors import PerformanceError
from evergreen.performance.label_join import LOGGED
from evergreen.performance.prediction_log import MODEL_VERSION, PREDICTION, PROBABILITY

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from evergreen.data.artifacts import ModelDescription
    from evergreen.models.fitted import FittedModel

CHAMPION, LOG = "champion", "logged"

Said = Callable[["pd.DataFrame"], "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]"]


@dataclass(frozen=True)
class WatchedModel:
    """A monitored model.

    Attributes:
        description: Description of the model.
        said: Returns its predictions and, if available, its probabilities for rows.
        version: The version whose logged predictions count; empty if predictions are made now.
    """

    description: ModelDescription
    said: Said
    version: str = ""

    def predictions(self, rows: pd.DataFrame, *, target_column: str, labelled: bool = True) -> Predictions:
        """Return the model's predictions for rows.

        Args:
            rows: The rows.
            target_column: Name of the label column.
            labelled: Whether the rows have labels; if not, the predictions take their place, for an estimate.

        Raises:
            ScoringError: The model cannot predict these rows.
        """
        from evergreen.data.columns import prepare_labels
        from evergreen.models.trust import ModelError

        classes = self.description.classes
        try:
            predicted, probabilities = self.said(rows)
            labels = prepare_labels(rows[target_column], classes) if labelled else predicted
        except (ModelError, ArtifactError) as error:
            # Stopping a run because of its columns is the contract's job; here, it only means that there is no score.
            raise ScoringError(f"the champion cannot be scored on these rows: {error}") from error
        return Predictions(labels=labels, predicted=predicted, probabilities=probabilities, classes=classes)


@dataclass(frozen=True)
class NewRows:
    """The rows of a window, classified.

    Attributes:
        unseen: Rows that the champion has not seen.
        settled: For each of them, whether it has a label that no longer changes.
        seen: Number of rows that the champion has seen.
        other_versions: Number of logged predictions of other versions.
    """

    unseen: pd.DataFrame
    settled: pd.Series[bool]
    seen: int
    other_versions: int = 0

    @property
    def labelled(self) -> pd.DataFrame:
        """The unseen rows with a settled label."""
        return self.unseen[self.settled]

    @property
    def unlabelled(self) -> pd.DataFrame:
        """The unseen rows without a settled label."""
        return self.unseen[~self.settled]


def asked_now(champion: FittedModel) -> WatchedModel:
    """Return a loaded model for making predictions now."""
    return WatchedModel(champion.description, lambda rows: (champion.predict(rows), champion.predict_probability(rows)))


def as_logged(description: ModelDescription, version: str) -> WatchedModel:
    """Return a model whose logged predictions count.

    Args:
        description: Description of the champion; the model itself is not needed.
        version: Its version; empty uses the predictions of all versions.
    """

    def said(rows: pd.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
        from evergreen.data.columns import prepare_labels

        predicted = prepare_labels(rows[f"{LOGGED}{PREDICTION}"], description.classes)
        names = [f"{LOGGED}{PROBABILITY}{label}" for label in description.classes]
        known = bool(names) and all(name in rows.columns for name in names) and bool(rows[names].notna().all(axis=None))
        return predicted, rows[names].to_numpy(dtype="float64") if known else None

    return WatchedModel(description, said, version)


def new_rows(
    frame: pd.DataFrame, watched: WatchedModel, *, logged: bool, window_end: str | None, target_column: str, timestamp_column: str, label_delay_days: int
) -> NewRows:
    """Classify the rows of a window.

    Raises:
        PerformanceError: A column is missing, or logged predictions are requested but there are none.
        ArtifactError: The event time column does not contain times.
    """
    import pandas as pd

    from evergreen.data.columns import event_times

    for role, name in (("target_column", target_column), ("timestamp_column", timestamp_column)):
        if name not in frame.columns:
            raise PerformanceError(f"Unknown column {name!r} in {role}. Columns of the current data: {', '.join(map(str, frame.columns))}.")
    others = 0
    if logged:
        if f"{LOGGED}{PREDICTION}" not in frame.columns:
            raise PerformanceError(
                f"predictions {LOG!r}: the current data contains no logged predictions. Pass labelled_data of join_labels, or use {CHAMPION!r}."
            )
        mine = frame[f"{LOGGED}{MODEL_VERSION}"] == watched.version if watched.version else frame[f"{LOGGED}{PREDICTION}"].notna()
        others, frame = int((~mine).sum()), frame[mine]
    times = event_times(frame[timestamp_column])
    end = pd.Timestamp(window_end) if window_end else times.max() + pd.Timedelta(microseconds=1)
    end = (end.tz_localize("UTC") if end.tz is None else end) - pd.Timedelta(days=label_delay_days)
    seen = times < pd.Timestamp(watched.description.fit_end)
    settled = (times < end) & frame[target_column].notna()
    return NewRows(frame[~seen], settled[~seen], int(seen.sum()), others)
