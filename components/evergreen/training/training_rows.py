"""The rows that a model is trained on: labelled, in time order, with features of known kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.data.artifacts import feature_columns
from evergreen.data.columns import BOOLEAN, CATEGORY, DATE, NUMBER, event_times
from evergreen.training.errors import TrainingError
from evergreen.training.memory import read_within_memory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MOST_CLASSES_GUESSED = 20


@dataclass(frozen=True)
class TrainingRows:
    """Labelled rows in time order.

    Attributes:
        frame: All columns of the dataset, oldest row first.
        times: Event time of each row, UTC.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        unlabelled: Number of rows left out because they have no label.
        fingerprint: Fingerprint of the whole dataset.
        window_end: End of the dataset's window (exclusive), UTC.
    """

    frame: pd.DataFrame
    times: pd.Series[pd.Timestamp]
    target_column: str
    timestamp_column: str
    unlabelled: int
    fingerprint: str
    window_end: pd.Timestamp

    @property
    def feature_names(self) -> list[str]:
        """The feature columns."""
        return feature_columns(list(self.frame.columns), target_column=self.target_column, timestamp_column=self.timestamp_column)

    def parted(self, start: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split the rows at an event time; both parts share their memory with ``frame``."""
        before = int(self.times.searchsorted(start))
        return self.frame.iloc[:before], self.frame.iloc[before:]


def read_training_rows(
    path: str | Path, metadata: Mapping[str, Any], *, target_column: str, timestamp_column: str, sample_rows: int | None = None, seed: int = 7
) -> TrainingRows:
    """Read a dataset as training rows.

    Args:
        path: The dataset, a file or a folder.
        metadata: The artifact's metadata; ``fingerprint`` and ``window_end`` are used if present.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        sample_rows: Maximum number of rows to read; a random sample is drawn from larger data.
        seed: Random seed for the sample.

    Raises:
        TrainingError: A column is missing, the rows are empty or unlabelled, a row has no event time, or there is not enough memory.
        ArtifactError: The dataset cannot be read, or the timestamp column does not contain times.
    """
    frame = read_within_memory(path, sample_rows=sample_rows, seed=seed)
    return training_rows(frame, metadata, target_column=target_column, timestamp_column=timestamp_column)


def training_rows(frame: pd.DataFrame, metadata: Mapping[str, Any], *, target_column: str, timestamp_column: str) -> TrainingRows:
    """Return a frame's labelled rows, oldest first, as training rows.

    Args:
        frame: All rows of the dataset.
        metadata: ``fingerprint`` and ``window_end`` are used if present.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.

    Raises:
        TrainingError: A column is missing, the rows are empty or unlabelled, or a row has no event time.
        ArtifactError: The timestamp column does not contain times.
    """
    for role, name in (("target_column", target_column), ("timestamp_column", timestamp_column)):
        if name not in frame.columns:
            raise TrainingError(f"Unknown column {name!r} in {role}. Columns of the training data: {', '.join(map(str, frame.columns))}.")
    if frame.empty:
        raise TrainingError("The training data contains no rows. Increase training_window_days or check data_source_uri.")
    times = event_times(frame[timestamp_column])
    if times.isna().any():
        raise TrainingError(
            f"timestamp_column {timestamp_column!r}: {int(times.isna().sum())} of {len(times)} rows have no event time. Remove those rows at the source."
        )
    end = times.max() + pd.Timedelta(microseconds=1)
    if metadata.get("window_end"):
        end = max(end, pd.Timestamp(metadata["window_end"]))
    labelled = frame[target_column].notna()
    if not labelled.any():
        raise TrainingError(f"target_column {target_column!r}: none of {len(frame)} rows has a label. Check the column, or increase data_label_delay_days.")
    fingerprint = str(metadata.get("fingerprint") or _content_hash(frame))
    if not (labelled.all() and times.is_monotonic_increasing):
        order = times[labelled].sort_values(kind="stable").index
        frame, times = frame.loc[order].reset_index(drop=True), times.loc[order].reset_index(drop=True)
    return TrainingRows(
        frame=frame,
        times=times,
        target_column=target_column,
        timestamp_column=timestamp_column,
        unlabelled=int((~labelled).sum()),
        fingerprint=fingerprint,
        window_end=end,
    )


def _content_hash(frame: pd.DataFrame) -> str:
    import hashlib

    digest = hashlib.sha256(",".join(map(str, frame.columns)).encode())
    digest.update(pd.util.hash_pandas_object(frame.astype(str), index=False).sort_values().to_numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def feature_kinds(frame: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """Return the kind of each feature, ``number``, ``category``, ``boolean`` or ``date``, in alphabetical order.

    Raises:
        TrainingError: There are no features, or one is empty or of an unsupported type.
    """
    if not names:
        raise TrainingError("The training data has no columns other than the target and the timestamp. Add features, or exclude fewer columns.")
    # Sort by name, so that neither the column order of the source nor the sorted keys of JSON change the model.
    return {name: _kind(frame[name]) for name in sorted(names)}


def _kind(column: pd.Series[Any]) -> str:
    # The first value usually settles it; searching a long text column for gaps costs more than everything else here.
    if pd.isna(column.iloc[:1]).all() and column.isna().all():
        raise TrainingError(f"Feature {column.name!r} has no value in any of {len(column)} rows. Fix it at the source or add it to data_excluded_columns.")
    content = pd.api.types.infer_dtype(column, skipna=True)
    kinds = {
        "boolean": BOOLEAN,
        **dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), NUMBER),
        **dict.fromkeys(("datetime64", "datetime", "date"), DATE),
        **dict.fromkeys(("string", "categorical"), CATEGORY),
    }
    if content not in kinds:
        raise TrainingError(
            f"Feature {column.name!r} contains {content} values; expected numbers, text, booleans or times. "
            "Convert it at the source or add it to data_excluded_columns."
        )
    return kinds[content]


def label_classes(labels: pd.Series[Any], task: str) -> tuple[str, list[Any]]:
    """Return the task implied by the labels and, for classification, the classes in order.

    Args:
        labels: One label per row, without missing values.
        task: ``auto``, ``classification`` or ``regression``. ``auto`` treats text, booleans, categories, and integers with at most 20
            distinct values as classes, and anything else as regression.

    Raises:
        TrainingError: The task is unknown, the labels do not fit it, or there is only one class.
    """
    if task not in ("auto", "classification", "regression"):
        raise TrainingError(f"Unknown model_task {task!r}. Valid tasks: auto, classification, regression. Correct the parameter.")
    truth = pd.api.types.infer_dtype(labels) == "boolean"
    numeric = not truth and pd.api.types.is_numeric_dtype(labels.dtype)
    whole = numeric and bool((labels % 1 == 0).all())
    few = labels.nunique() <= MOST_CLASSES_GUESSED
    resolved = task if task != "auto" else ("classification" if not numeric or (whole and few) else "regression")
    if resolved == "regression":
        if not (numeric or truth):
            raise TrainingError(
                f"target {labels.name!r}: regression requires numbers, found {labels.dtype} such as {labels.iloc[0]!r}. Set model_task to classification."
            )
        return resolved, []
    if numeric and not whole:
        raise TrainingError(
            f"target {labels.name!r}: classification requires classes, found fractions such as {labels[labels % 1 != 0].iloc[0]}. Set model_task to regression."
        )
    distinct = labels.unique()
    classes = sorted({bool(value) for value in distinct} if truth else {int(value) for value in distinct} if whole else {str(value) for value in distinct})
    if len(classes) < 2:
        raise TrainingError(
            f"target {labels.name!r}: all {len(labels)} labelled rows belong to class {classes[0]!r}; expected at least two. Increase training_window_days."
        )
    return resolved, classes
