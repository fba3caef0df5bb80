"""Is the champion still as good as when it was promoted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.artifacts import is_present, read_frame, read_json
from evergreen.errors import ArtifactError
from evergreen.performance.errors import PerformanceError

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.models import FittedModel
    from evergreen.scoring import Interval, Metric

CONFIDENCE = 0.95
RESAMPLES = 2000
NORMAL_QUANTILE = 1.959964
"""The standard normal distribution's quantile for two-sided 95 % intervals."""


@dataclass
class Performance:
    """How the champion does now, beside how it did; its fields are those of the performance result.

    Scores follow scikit-learn: higher is better. ``drop`` is the baseline's score minus the present one. What could not be measured is None.
    """

    verdict: str
    metric: str = ""
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    baseline_score: float | None = None
    baseline_lower: float | None = None
    baseline_upper: float | None = None
    drop: float | None = None
    drop_lower: float | None = None
    drop_upper: float | None = None
    margin: float = 0.0
    rows: int = 0
    rows_unlabelled: int = 0
    rows_seen_by_champion: int = 0
    sentence: str = ""


def monitor(
    model: Any,
    baseline: Any,
    current_data: Any,
    *,
    target_column: str,
    timestamp_column: str,
    label_delay_days: int,
    margin: float,
    minimum_rows: int,
    seed: int,
) -> Performance:
    """Score the champion on new labelled rows and compare with its baseline.

    It is degraded when the drop from the baseline is larger than the margin and significant: the lower end of the drop's 95 % interval is above 0.
    That interval is the normal approximation for the difference of two independent estimates, whose standard errors are read
    off the bootstrap intervals of the baseline and of the present score (width / 2 x 1.96).

    Args:
        model: The champion's model artifact; may be absent.
        baseline: The champion's baseline artifact, JSON.
        current_data: The newest rows.
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        label_delay_days: Rows younger than this, at the window's end, are not used: their labels may still change.
        margin: Smallest drop that matters, in the metric's unit; 0 means that significance alone decides.
        minimum_rows: Fewest rows to score on.
        seed: Seed of the bootstrap.

    Raises:
        PerformanceError: A setting is out of its range, a column is absent, or the baseline holds no metric and score.
        ModelError: The model cannot be loaded.
        ArtifactError: The rows or the baseline cannot be read.
    """
    _check_settings(label_delay_days, margin, minimum_rows)
    if not is_present(model) or not is_present(baseline):
        return Performance("no champion", margin=margin, sentence="There is no champion, so there is nothing to watch.")
    from evergreen.models import load_model

    return monitor_rows(
        load_model(model.path),
        read_json(baseline.path),
        read_frame(current_data.path),
        window_end=current_data.metadata.get("window_end"),
        target_column=target_column,
        timestamp_column=timestamp_column,
        label_delay_days=label_delay_days,
        margin=margin,
        minimum_rows=minimum_rows,
        seed=seed,
    )


def monitor_rows(
    champion: FittedModel,
    baseline: dict[str, Any],
    frame: pd.DataFrame,
    *,
    window_end: str | None,
    target_column: str,
    timestamp_column: str,
    label_delay_days: int,
    margin: float,
    minimum_rows: int,
    seed: int,
) -> Performance:
    """Score a model on the rows of a window that it has not seen and that have a label, and compare with its baseline.

    Arguments and errors are those of `monitor`, with the model, its baseline and the rows themselves in place of artifacts.
    """
    from evergreen.scoring import ScoringError

    result = Performance("cannot tell", metric=str(baseline.get("metric") or ""), margin=margin)
    result.baseline_score, result.baseline_lower, result.baseline_upper = (_number(baseline.get(name)) for name in ("score", "lower", "upper"))
    if not result.metric or result.baseline_score is None:
        raise PerformanceError(
            f"baseline: expected a metric and a score, found {baseline.get('metric')!r} and {baseline.get('score')!r}. Promote a model again."
        )
    columns = {"target_column": target_column, "timestamp_column": timestamp_column}
    rows = _usable_rows(frame, window_end, champion, result, columns=columns, label_delay_days=label_delay_days)
    if len(rows) < minimum_rows:
        result.sentence = (
            f"Cannot tell: {len(rows)} labelled rows are newer than what the champion has seen ({result.rows_seen_by_champion} seen, "
            f"{result.rows_unlabelled} without a settled label); at least {minimum_rows} are needed."
        )
        return result
    try:
        metric = _metric(result.metric, champion)
        _judge(result, metric, _score(champion, metric, rows, target_column=target_column, seed=seed), rows=len(rows))
    except ScoringError as error:
        result.sentence = f"Cannot tell: {error}"
    return result


def _check_settings(label_delay_days: int, margin: float, minimum_rows: int) -> None:
    if label_delay_days < 0:
        raise PerformanceError(f"label_delay_days {label_delay_days}: expected 0 or more days.")
    if not math.isfinite(margin) or margin < 0:
        raise PerformanceError(f"margin {margin}: expected 0 or a positive number in the metric's unit, such as 0.02.")
    if minimum_rows < 2:
        raise PerformanceError(f"minimum_rows {minimum_rows}: expected at least 2; fewer rows have no spread. Use 20 or more.")


def _usable_rows(
    frame: pd.DataFrame, window_end: str | None, champion: FittedModel, result: Performance, *, columns: dict[str, str], label_delay_days: int
) -> pd.DataFrame:
    import pandas as pd

    from evergreen.columns import event_times

    for role, name in columns.items():
        if name not in frame.columns:
            raise PerformanceError(f"{role} {name!r}: the current data has no such column; its columns are {', '.join(map(str, frame.columns))}.")
    times = event_times(frame[columns["timestamp_column"]])
    end = pd.Timestamp(window_end) if window_end else times.max() + pd.Timedelta(microseconds=1)
    end = (end.tz_localize("UTC") if end.tz is None else end) - pd.Timedelta(days=label_delay_days)
    seen = times < pd.Timestamp(champion.description.fit_end)
    settled = (times < end) & frame[columns["target_column"]].notna()
    result.rows_seen_by_champion, result.rows_unlabelled = int(seen.sum()), int((~seen & ~settled).sum())
    usable = frame[~seen & settled]
    result.rows = len(usable)
    return usable


def _metric(name: str, champion: FittedModel) -> Metric:
    from evergreen.scoring import resolve_metric

    return resolve_metric(name, champion.description.task)


def _score(champion: FittedModel, metric: Metric, rows: pd.DataFrame, *, target_column: str, seed: int) -> Interval:
    from evergreen.columns import prepare_labels
    from evergreen.models import ModelError
    from evergreen.scoring import Predictions, ScoringError, bootstrap_interval

    try:
        classes = champion.description.classes
        labels = prepare_labels(rows[target_column], classes)
        predictions = Predictions(labels=labels, predicted=champion.predict(rows), probabilities=champion.predict_probability(rows), classes=classes)
    except (ModelError, ArtifactError) as error:
        # The contract, not this step, stops a run over columns; here it only means that there is no score.
        raise ScoringError(f"the champion cannot be scored on these rows: {error}") from error
    return bootstrap_interval(metric, predictions, confidence=CONFIDENCE, resamples=RESAMPLES, seed=seed)


def _judge(result: Performance, metric: Metric, now: Interval, *, rows: int) -> None:
    baseline = result.baseline_score or 0.0
    error = math.hypot(_standard_error(result.baseline_lower, result.baseline_upper), _standard_error(now.lower, now.upper))
    drop = baseline - now.score
    result.score, result.lower, result.upper, result.drop = now.score, now.lower, now.upper, drop
    result.drop_lower, result.drop_upper = drop - NORMAL_QUANTILE * error, drop + NORMAL_QUANTILE * error
    significant = result.drop_lower > 0
    result.verdict = "degraded" if significant and drop > result.margin else "holds"
    span = f"95 % interval {result.drop_lower:.4g} to {result.drop_upper:.4g}"
    what = f"{metric.name} is {now.score:.4g} on {rows} new rows and was {baseline:.4g} at promotion: a drop of {drop:.4g} ({span})"
    if result.verdict == "degraded":
        result.sentence = f"Degraded: {what}, significant and larger than the margin of {result.margin:.4g}."
    else:
        why = f"significant, but not larger than the margin of {result.margin:.4g}" if significant else "not significant"
        result.sentence = f"Holds: {what}, {why}."


def _standard_error(lower: float | None, upper: float | None) -> float:
    # A baseline without an interval counts as exact, which makes the champion answer for every drop.
    return 0.0 if lower is None or upper is None else (upper - lower) / (2 * NORMAL_QUANTILE)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None
