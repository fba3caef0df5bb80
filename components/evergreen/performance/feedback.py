"""User feedback on predictions: thumbs, complaints, scores and corrections, counted by source.

The rows have these columns, and may have others:

======== ==================================================================================================================
column   meaning
======== ==================================================================================================================
time     when the feedback was given (the name is configurable)
source   who gave it: a user, an application, a support desk; missing ones count as one source, ``unknown``
kind     ``thumbs_up``, ``praise``, ``thumbs_down``, ``complaint`` or ``correction``
score    instead of a kind, or in addition, taking precedence: from -1 (bad) to 1 (good)
key      key of the prediction concerned; may be missing
label    the correct label of the prediction; may be missing
======== ==================================================================================================================

The policy decides how much weight a source carries (`evergreen.policy.feedback`); here, feedback is only counted.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, read_frame, write_absent, write_json
from evergreen.performance.errors import PerformanceError
from evergreen.results.feedback import Feedback, FeedbackSource

if TYPE_CHECKING:
    import pandas as pd

NEGATIVE = {"thumbs_up": 0.0, "praise": 0.0, "thumbs_down": 1.0, "complaint": 1.0, "correction": 1.0}
"""How negative each kind is, from 0 to 1."""

UNKNOWN = "unknown"
CORRECTION_COLUMNS = ("key", "label", "source")


def read_feedback_window(source_uri: str, *, timestamp_column: str, window_end: str, window_days: int) -> tuple[Feedback, pd.DataFrame | None]:
    """Read the feedback in a window, from any source that `ingest_data` can read.

    Args:
        source_uri: File, folder, bucket or database.
        timestamp_column: Column with the time at which the feedback was given.
        window_end: End of the window, ISO, or ``latest``.
        window_days: Length of the window in days.

    Returns:
        The counts, and the corrected labels (key, label, source and time) or None if there are none.

    Raises:
        IngestionError: The source or its times cannot be used.
        PerformanceError: A column is missing, or contains an invalid kind or score.
    """
    from evergreen.ingestion.errors import NoRowsError
    from evergreen.ingestion.windowing import ingest_window

    with tempfile.TemporaryDirectory(prefix="evergreen-feedback-") as folder:
        target = Path(folder) / "feedback.parquet"
        try:
            read = ingest_window(target, source_uri=source_uri, timestamp_column=timestamp_column, window_end=window_end, window_days=window_days)
        except NoRowsError:
            return Feedback(False, f"There was no feedback in the {window_days} days before {window_end}."), None
        frame = read_frame(target)
    window = read.manifest.window
    found = replace(count_feedback(frame), window_start=window["start"], window_end=window["end"])
    return found, _corrections(frame, timestamp_column)


def count_feedback(frame: pd.DataFrame) -> Feedback:
    """Count feedback rows by source.

    Raises:
        PerformanceError: A column is missing, or contains an invalid kind or score.
    """
    if "source" not in frame.columns or not {"kind", "score"} & set(frame.columns):
        raise PerformanceError(f"feedback: expected the columns source and kind or score; found {', '.join(map(str, frame.columns))}. Rename the columns.")
    sources = frame["source"].astype(object).where(frame["source"].notna(), UNKNOWN).astype(str)
    negative = _negative(frame)
    counted = negative.groupby(sources).agg(["size", "sum"]).sort_values("size", ascending=False, kind="stable")
    entries = [FeedbackSource(str(name), int(row["size"]), float(row["sum"])) for name, row in counted.iterrows()]
    corrections = int(frame["label"].notna().sum()) if "label" in frame.columns else 0
    sentence = f"{len(frame):,} feedback items from {len(entries):,} sources, {negative.sum():,.0f} of them negative."
    return Feedback(True, sentence, rows=len(frame), negative=float(negative.sum()), corrections=corrections, sources=entries)


def _negative(frame: pd.DataFrame) -> pd.Series[float]:
    import pandas as pd

    found = pd.Series(float("nan"), index=frame.index)
    if "label" in frame.columns:
        found[frame["label"].notna()] = NEGATIVE["correction"]
    if "kind" in frame.columns:
        kinds = frame["kind"].dropna()
        strange = kinds[~kinds.isin(list(NEGATIVE))]
        if len(strange):
            valid = ", ".join(NEGATIVE)
            raise PerformanceError(f"Unknown feedback kind {strange.iloc[0]!r}. Valid kinds: {valid}. Convert it, or use a score from -1 to 1.")
        found = frame["kind"].map(NEGATIVE).astype("float64").fillna(found)
    if "score" in frame.columns:
        scores = pd.to_numeric(frame["score"], errors="coerce")
        wrong = frame["score"].notna() & ~scores.between(-1, 1)
        if wrong.any():
            raise PerformanceError(f"Invalid feedback score {frame['score'][wrong].iloc[0]!r}: expected a number from -1 (bad) to 1 (good). Rescale it.")
        found = ((1 - scores) / 2).fillna(found)
    if found.isna().any():
        raise PerformanceError(f"feedback: {int(found.isna().sum())} of {len(found)} rows have no kind, score or label. Fill one in, or omit the rows.")
    return found


def _corrections(frame: pd.DataFrame, timestamp_column: str) -> pd.DataFrame | None:
    if not {"key", "label"} <= set(frame.columns):
        return None
    given = frame[frame["key"].notna() & frame["label"].notna()]
    return given[[*CORRECTION_COLUMNS, timestamp_column]].reset_index(drop=True) if len(given) else None


def write_feedback(found: Feedback, corrected: pd.DataFrame | None, *, feedback: Any, corrections: Any) -> None:
    """Write the counts and the corrected labels.

    Args:
        found: The counts.
        corrected: The corrected labels, or None.
        feedback: Output artifact for the JSON.
        corrections: Output artifact for the corrected labels.
    """
    write_json(feedback.path, found.to_json())
    feedback.metadata.update({PRESENT: True, "rows": found.rows})
    if corrected is None:
        write_absent(corrections)
        return
    Path(corrections.path).parent.mkdir(parents=True, exist_ok=True)
    corrected.to_parquet(corrections.path, index=False)
    corrections.metadata.update({PRESENT: True, "rows": len(corrected)})
