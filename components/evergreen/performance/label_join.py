"""Joins late labels to the predictions with the same keys, within a given horizon.

A label counts if it arrived between the prediction and the end of the horizon after it, so that the score of a window does not
depend on when it is computed. Unused labels are counted: nothing is silently dropped.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.performance.errors import PerformanceError
from evergreen.performance.prediction_log import EVENT_TIME, FEATURE, KEY, MODEL_VERSION, PREDICTED_AT, PREDICTION, PROBABILITY, PredictionLog, key_text
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.results.performance import UnlabelledComparison

LOGGED = "logged_"
"""Prefix of columns that come from the log, apart from features, label and event time."""


@dataclass(frozen=True)
class JoinSettings:
    """How to join labels.

    Attributes:
        key_column: Column of the labels with the keys of the predictions.
        target_column: Column of the labels with the label; it keeps its name in the result.
        timestamp_column: Name of the event time column in the result.
        label_time_column: Column of the labels with the time at which each became known, or ``none``.
        horizon_days: Labels that arrive more than this many days after the prediction are not used.
        as_of: Time at which to decide whether labels are missing or may still arrive, ISO; ``latest`` is the newest time in log and labels.
    """

    key_column: str
    target_column: str
    timestamp_column: str
    label_time_column: str = "none"
    horizon_days: float = 30.0
    as_of: str = "latest"


@dataclass
class LabelJoin:
    """The outcome of a join; its fields are those of the join result.

    Attributes:
        verdict: ``joined``, or ``no labels`` if no row has a label.
        sentence: The outcome in one sentence, with numbers.
        rows: Number of predictions.
        labelled: Predictions with a label.
        unlabelled: Predictions without a label.
        pending: Unlabelled predictions whose horizon is not over, so that their labels may still arrive.
        horizon_days: The horizon in days.
        labels: Number of given labels.
        labels_unknown_key: Labels whose key was never predicted; not used.
        labels_late: Labels that arrived after the horizon; not used.
        labels_before_prediction: Labels older than their prediction, which means a clock is wrong; not used.
        labels_without_time: Labels without a time although others have one; not used.
        labels_without_value: Rows of the labels without a label; not used.
        labels_repeated: Labels that repeat another one.
        labels_replaced: Labels replaced by a newer one for the same key.
        predictions_repeated: Predictions repeated later by the same model version for the same key; the newest counts.
        clock_jumps: How many times the log's own clock jumped back.
        unlike: Whether the unlabelled rows differ from the labelled ones; None when they were not compared.
        warnings: Warnings for the reader, in sentences.
    """

    verdict: str = "joined"
    sentence: str = ""
    rows: int = 0
    labelled: int = 0
    unlabelled: int = 0
    pending: int = 0
    horizon_days: float = 0.0
    labels: int = 0
    labels_unknown_key: int = 0
    labels_late: int = 0
    labels_before_prediction: int = 0
    labels_without_time: int = 0
    labels_without_value: int = 0
    labels_repeated: int = 0
    labels_replaced: int = 0
    predictions_repeated: int = 0
    clock_jumps: int = 0
    unlike: UnlabelledComparison | None = None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; rows that were not compared are an empty object."""
        return {**asdict(self), "unlike": asdict(self.unlike) if self.unlike else {}}


def join_predictions(log: PredictionLog, labels: pd.DataFrame, settings: JoinSettings) -> tuple[pd.DataFrame, LabelJoin]:
    """Join labels to predictions.

    If there are several labels for one key, identical ones count once, and of different ones the newest counts; different labels without
    times are an error, because it is unknown which one is valid.

    Args:
        log: The predictions.
        labels: Keys, labels, and the time at which each label became known.
        settings: Columns and horizon.

    Returns:
        One row per prediction, with features, event time, label (if any) and the log's columns with the prefix
        ``logged_``; and the counts.

    Raises:
        PerformanceError: A column is missing, a setting is out of range, or a key has different labels and no time shows which is newer.
    """
    _check(log, labels, settings)
    result = LabelJoin(rows=len(log.frame), horizon_days=settings.horizon_days, labels=len(labels), clock_jumps=log.clock_jumps)
    predictions = _newest_predictions(log.frame, result)
    candidates = _candidates(predictions, labels, settings, result)
    chosen = _one_label_each(candidates, predictions, timed=not is_nothing(settings.label_time_column), result=result)
    frame = _table(predictions, log.classes, settings)
    frame[settings.target_column] = chosen["label"].reindex(predictions.index)
    result.labelled = int(frame[settings.target_column].notna().sum())
    result.unlabelled = result.rows - result.labelled
    result.pending = _pending(predictions[frame[settings.target_column].isna()], candidates, settings, newest=predictions[PREDICTED_AT].max())
    _say(result, settings)
    return frame, result


def _check(log: PredictionLog, labels: pd.DataFrame, settings: JoinSettings) -> None:
    if not math.isfinite(settings.horizon_days) or settings.horizon_days <= 0:
        raise PerformanceError(f"Invalid horizon_days {settings.horizon_days}: expected a positive number of days, such as 30.")
    for role in ("key_column", "target_column", "label_time_column"):
        name = getattr(settings, role)
        if name not in labels.columns and not (role == "label_time_column" and is_nothing(name)):
            raise PerformanceError(f"Unknown column {name!r} in {role}. Columns of the labels: {', '.join(map(str, labels.columns))}.")
    taken = {settings.target_column, settings.timestamp_column}
    for name in (str(column).removeprefix(FEATURE) for column in log.frame.columns if str(column).startswith(FEATURE)):
        if name in taken or name.startswith(LOGGED):
            raise PerformanceError(f"Feature {name!r} of the log has the same name as the label, the event time or a logged column. Rename the label.")


def _newest_predictions(frame: pd.DataFrame, result: LabelJoin) -> pd.DataFrame:
    ordered = frame.sort_values(PREDICTED_AT, kind="stable")
    repeated = ordered.duplicated([KEY, MODEL_VERSION], keep="last")
    result.predictions_repeated = int(repeated.sum())
    result.rows -= result.predictions_repeated
    return ordered[~repeated].sort_index().reset_index(drop=True)


def _candidates(predictions: pd.DataFrame, labels: pd.DataFrame, settings: JoinSettings, result: LabelJoin) -> pd.DataFrame:
    """Return pairs of a prediction and a label that arrived in time; labels left out are counted, each of them once."""
    import pandas as pd

    from evergreen.data.columns import event_times

    given = pd.DataFrame({"key": key_text(labels[settings.key_column]), "label": labels[settings.target_column]})
    timed = not is_nothing(settings.label_time_column)
    given["time"] = event_times(labels[settings.label_time_column]) if timed else pd.Series(pd.NaT, index=labels.index, dtype="datetime64[us, UTC]")
    result.labels_without_value = int(given["label"].isna().sum())
    given = given[given["label"].notna()]
    known = given["key"].isin(predictions[KEY])
    result.labels_unknown_key = int((~known).sum())
    given = given[known]
    if timed:
        result.labels_without_time = int(given["time"].isna().sum())
        given = given[given["time"].notna()]
    pairs = (
        predictions[[KEY, PREDICTED_AT]].reset_index(names="row").merge(given.reset_index(drop=True).reset_index(names="number"), left_on=KEY, right_on="key")
    )
    if not timed:
        return pairs
    after = pairs["time"] - pairs[PREDICTED_AT]
    before, late = after < pd.Timedelta(0), after > pd.Timedelta(days=settings.horizon_days)
    used = pairs[~before & ~late]
    # A label may be too late for one version's prediction but in time for another's; then it is used.
    unused = ~pairs["number"].isin(used["number"])
    result.labels_before_prediction = int(pairs.loc[before & unused, "number"].nunique())
    result.labels_late = int(pairs.loc[late & ~before & unused, "number"].nunique())
    return used


def _one_label_each(pairs: pd.DataFrame, predictions: pd.DataFrame, *, timed: bool, result: LabelJoin) -> pd.DataFrame:
    ordered = pairs.sort_values(["row", "time"], kind="stable") if timed else pairs
    groups = ordered.groupby("row")
    newest = ordered[ordered["time"] == groups["time"].transform("max")] if timed else ordered
    different = newest.groupby("row")["label"].nunique()
    if (different > 1).any():
        row = different[different > 1].index[0]
        said = ", ".join(repr(label) for label in newest.loc[newest["row"] == row, "label"].unique()[:5].tolist())
        why = "at the same time" if timed else "and there is no label_time_column to show which is newer"
        raise PerformanceError(f"Key {predictions.loc[row, KEY]!r} has the labels {said} {why}. Remove the wrong ones, or add a time to each label.")
    chosen = newest.drop_duplicates("row").set_index("row")
    same = ordered["label"].to_numpy() == chosen["label"].reindex(ordered["row"]).to_numpy()
    more = ordered[~ordered["number"].isin(chosen["number"])]
    result.labels_repeated = int(more.loc[same[~ordered["number"].isin(chosen["number"])], "number"].nunique())
    result.labels_replaced = int(more["number"].nunique()) - result.labels_repeated
    return chosen


def _table(predictions: pd.DataFrame, classes: list[Any], settings: JoinSettings) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {settings.timestamp_column: predictions[EVENT_TIME].fillna(predictions[PREDICTED_AT])}
    columns |= {str(name).removeprefix(FEATURE): predictions[name] for name in predictions.columns if str(name).startswith(FEATURE)}
    logged = [KEY, MODEL_VERSION, PREDICTED_AT, PREDICTION, *(f"{PROBABILITY}{label}" for label in classes)]
    columns |= {f"{LOGGED}{name}": predictions[name] for name in logged if name in predictions.columns}
    return pd.DataFrame(columns)


def _pending(unlabelled: pd.DataFrame, candidates: pd.DataFrame, settings: JoinSettings, *, newest: Any) -> int:
    import pandas as pd

    if settings.as_of == "latest":
        times = candidates["time"].dropna()
        end = max(newest, times.max()) if len(times) else newest
    else:
        try:
            end = pd.Timestamp(settings.as_of)
        except ValueError as error:
            raise PerformanceError(f"Invalid as_of {settings.as_of!r}: expected latest or an ISO time such as 2026-01-31T00:00:00Z.") from error
        end = end.tz_localize("UTC") if end.tz is None else end
    return int((unlabelled[PREDICTED_AT] + pd.Timedelta(days=settings.horizon_days) > end).sum())


def _say(result: LabelJoin, settings: JoinSettings) -> None:
    share = result.labelled / result.rows if result.rows else 0.0
    result.verdict = "joined" if result.labelled else "no labels"
    result.sentence = (
        f"{result.labelled:,} of {result.rows:,} predictions ({share:.0%}) have a label; "
        f"{result.unlabelled:,} have none, of which {result.pending:,} may still receive one within {settings.horizon_days:g} days."
    )
    counted = [
        (result.labels_unknown_key, "Labels for keys that were never predicted, not used"),
        (result.labels_late, f"Labels that arrived more than {settings.horizon_days:g} days after the prediction, not used"),
        (result.labels_before_prediction, "Labels older than their prediction, not used: a clock is wrong"),
        (result.labels_without_time, "Labels without a time, not used"),
        (result.labels_without_value, "Rows of the labels without a label"),
        (result.labels_replaced, "Labels replaced by a newer one for the same key"),
        (result.predictions_repeated, "Predictions repeated by the same model version, of which the newest counts"),
        (result.clock_jumps, "Times in the log earlier than in the preceding row, so a clock is wrong or was set back"),
    ]
    result.warnings = [f"{words} ({number:,})." for number, words in counted if number]
    if is_nothing(settings.label_time_column):
        result.warnings.append("The labels have no time, so the horizon was not checked.")
