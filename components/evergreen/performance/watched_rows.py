"""Which rows count, and what the champion said about them: asked now, or as it was logged."""

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
    """A model that is watched.

    Attributes:
        description: What is known of it.
        said: Returns its predictions and, if it gives any, its probabilities for rows.
        version: The version whose logged predictions count; empty when it is asked now.
    """

    description: ModelDescription
    said: Said
    version: str = ""

    def predictions(self, rows: pd.DataFrame, *, target_column: str, labelled: bool = True) -> Predictions:
        """Return what the model said about rows.

        Args:
            rows: The rows.
            target_column: The label.
            labelled: Whether the rows have labels; without them the predictions stand in their place, for an estimate.

        Raises:
            ScoringError: The model cannot be asked about these rows.
        """
        from evergreen.data.columns import prepare_labels
        from evergreen.models.trust import ModelError

        classes = self.description.classes
        try:
            predicted, probabilities = self.said(rows)
            labels = prepare_labels(rows[target_column], classes) if labelled else predicted
        except (ModelError, ArtifactError) as error:
            # The contract, not this step, stops a run over columns; here it only means that there is no score.
            raise ScoringError(f"the champion cannot be scored on these rows: {error}") from error
        return Predictions(labels=labels, predicted=predicted, probabilities=probabilities, classes=classes)


@dataclass(frozen=True)
class NewRows:
    """The rows of a window, sorted out.

    Attributes:
        unseen: Rows that the champion has not seen.
        settled: For each of them, whether it has a label that no longer changes.
        seen: Number of rows that it has seen.
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
        """The unseen rows without one."""
        return self.unseen[~self.settled]


def asked_now(champion: FittedModel) -> WatchedModel:
    """Return a loaded model as one that is asked now."""
    return WatchedModel(champion.description, lambda rows: (champion.predict(rows), champion.predict_probability(rows)))


def as_logged(description: ModelDescription, version: str) -> WatchedModel:
    """Return a model whose logged predictions count.

    Args:
        description: What is known of the champion; the model itself is not needed.
        version: Its version; empty takes the predictions of all versions.
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
    """Sort out the rows of a window.

    Raises:
        PerformanceError: A column is absent, or logged predictions are wanted and there are none.
        ArtifactError: The event time's column does not hold times.
    """
    import pandas as pd

    from evergreen.data.columns import event_times

    for role, name in (("target_column", target_column), ("timestamp_column", timestamp_column)):
        if name not in frame.columns:
            raise PerformanceError(f"{role} {name!r}: the current data has no such column; its columns are {', '.join(map(str, frame.columns))}.")
    others = 0
    if logged:
        if f"{LOGGED}{PREDICTION}" not in frame.columns:
            raise PerformanceError(
                f"predictions {LOG!r}: the current data holds no logged predictions. Give it labelled_data of join_labels, or write {CHAMPION!r}."
            )
        mine = frame[f"{LOGGED}{MODEL_VERSION}"] == watched.version if watched.version else frame[f"{LOGGED}{PREDICTION}"].notna()
        others, frame = int((~mine).sum()), frame[mine]
    times = event_times(frame[timestamp_column])
    end = pd.Timestamp(window_end) if window_end else times.max() + pd.Timedelta(microseconds=1)
    end = (end.tz_localize("UTC") if end.tz is None else end) - pd.Timedelta(days=label_delay_days)
    seen = times < pd.Timestamp(watched.description.fit_end)
    settled = (times < end) & frame[target_column].notna()
    return NewRows(frame[~seen], settled[~seen], int(seen.sum()), others)
