"""Whether rows without a label differ from those with one. If they do, the score on the labelled rows does not represent them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.performance.label_join import LOGGED
from evergreen.performance.prediction_log import PREDICTION, PROBABILITY
from evergreen.results.performance import ColumnDifference, UnlabelledComparison

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from evergreen.results.drift import DriftResult

CONFIDENCE = "confidence"


def compare_unlabelled(frame: pd.DataFrame, labelled: pd.Series[bool], *, left_out: Collection[str], seed: int = 7) -> UnlabelledComparison:
    """Compare unlabelled with labelled rows in the way `detect_drift` compares two windows: features, prediction and confidence.

    Args:
        frame: Logged predictions, as returned by `join_predictions`.
        labelled: For each row, whether it has a label.
        left_out: Columns that are not compared: the label, and the event time, because the newest rows have no labels yet.
        seed: Random seed.

    Returns:
        The verdict, and the columns that differ.
    """
    if labelled.all() or not labelled.any():
        which = "There are no predictions" if not len(frame) else "Every prediction has a label" if labelled.all() else "No prediction has a label"
        return UnlabelledComparison("nothing to compare", f"{which}, so there is nothing to compare.")
    compared = _compared_columns(frame, left_out=left_out)
    return _in_words(_detect(compared[labelled], compared[~labelled], seed=seed))


def _compared_columns(frame: pd.DataFrame, *, left_out: Collection[str]) -> pd.DataFrame:
    kept = [name for name in frame.columns if name not in left_out and not str(name).startswith(LOGGED)]
    compared = frame[kept].copy()
    probabilities = frame[[name for name in frame.columns if str(name).startswith(f"{LOGGED}{PROBABILITY}")]]
    predicted = frame[f"{LOGGED}{PREDICTION}"]
    compared[PREDICTION] = predicted if predicted.dtype == "float64" else predicted.astype(str)
    if probabilities.shape[1]:
        compared[CONFIDENCE] = probabilities.max(axis=1)
    return compared


def _detect(labelled: pd.DataFrame, unlabelled: pd.DataFrame, *, seed: int) -> DriftResult:
    from evergreen.drift.detection import detect
    from evergreen.drift.settings import DriftSettings

    with tempfile.TemporaryDirectory(prefix="evergreen-unlabelled-") as folder:
        paths = Path(folder) / "labelled.parquet", Path(folder) / "unlabelled.parquet"
        for rows, path in zip((labelled, unlabelled), paths, strict=True):
            rows.to_parquet(path, index=False)
        return detect(*paths, settings=DriftSettings(detectors="profile"), seed=seed).result


def _in_words(found: DriftResult) -> UnlabelledComparison:
    unlike = [ColumnDifference(item.measured.name, item.severity, item.reason) for item in found.features if item.drift]
    if found.verdict == "insufficient":
        sentence = "Cannot tell whether the unlabelled rows differ from the labelled ones: there are too few of one kind."
        return UnlabelledComparison("cannot tell", sentence)
    if found.verdict == "no drift":
        return UnlabelledComparison("alike", "The unlabelled rows look like the labelled ones, so the score represents both.")
    named = ", ".join(f"{item.name} ({item.severity})" for item in unlike[:3]) + (f" and {len(unlike) - 3} more" if len(unlike) > 3 else "")
    where = f"in {named}" if unlike else "in how their columns are related"
    return UnlabelledComparison("different", f"The unlabelled rows differ from the labelled ones {where}, so their score may differ, too.", unlike)
