"""Is the champion still as good as when it was promoted."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present, read_frame, read_json
from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.metrics.predictions import Interval, ScoringError
from evergreen.metrics.scoring import bootstrap_interval, resolve_metric
from evergreen.performance.error_drift import compare_errors
from evergreen.performance.errors import PerformanceError
from evergreen.performance.estimation import EstimateRequest, estimate_rows
from evergreen.performance.slice_scores import score_parts, worst_part
from evergreen.performance.unlabelled_rows import compare_unlabelled
from evergreen.performance.watched_rows import CHAMPION, LOG, NewRows, WatchedModel, as_logged, asked_now, new_rows

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.metrics.scoring import Metric
    from evergreen.models.fitted import FittedModel
    from evergreen.performance.settings import PerformanceSettings

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class WatchedColumns:
    """The columns of the rows that are watched.

    Attributes:
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        label_delay_days: Rows younger than this, at the window's end, are not used: their labels may still change.
    """

    target_column: str
    timestamp_column: str
    label_delay_days: int = 0


@dataclass
class Performance:
    """How the champion does now, beside how it did; its fields are those of the performance result.

    Scores follow scikit-learn: higher is better. ``drop`` is the baseline's score minus the present one. What could not be measured is None.
    ``estimate`` (see `Estimate`) is about rows without labels, ``slices`` and ``worst_slice`` about parts of the rows, ``errors`` (see
    `ErrorDrift`) about the errors beside those at promotion, and ``unlike`` says whether logged rows without a label differ from those with one.
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
    predictions: str = CHAMPION
    rows_other_versions: int = 0
    estimate: dict[str, Any] | None = None
    slices: list[dict[str, Any]] = field(default_factory=list)
    worst_slice: dict[str, Any] | None = None
    errors: dict[str, Any] | None = None
    unlike: dict[str, Any] | None = None


def monitor(
    model: Any,
    baseline: Any,
    current_data: Any,
    *,
    columns: WatchedColumns,
    settings: PerformanceSettings,
    predictions: str = CHAMPION,
    seed: int = 7,
) -> Performance:
    """Score the champion on new labelled rows and compare with its baseline.

    It is degraded when the drop from the baseline is larger than the margin and significant: the lower end of the drop's 95 % interval is above 0.
    That interval is the normal approximation for the difference of two independent estimates, whose standard errors are read
    off the bootstrap intervals of the baseline and of the present score (width / 2 x 1.96).

    Args:
        model: The champion's model artifact; may be absent.
        baseline: The champion's baseline artifact, JSON.
        current_data: The newest rows, or logged predictions with their labels.
        columns: Label, event time, and how late labels come.
        settings: Margin, fewest rows, slices, and whether to estimate.
        predictions: ``champion`` asks the model now; ``logged`` takes what it said, from `join_labels`.
        seed: Seed of the bootstrap.

    Raises:
        PerformanceError: A setting is out of its range, a column is absent, or the baseline holds no metric and score.
        ModelError: The model cannot be loaded.
        ArtifactError: The rows or the baseline cannot be read.
    """
    if columns.label_delay_days < 0:
        raise PerformanceError(f"label_delay_days {columns.label_delay_days}: expected 0 or more days.")
    if predictions not in (CHAMPION, LOG):
        raise PerformanceError(f"predictions {predictions!r}: expected {CHAMPION} or {LOG}.")
    if not is_present(model) or not is_present(baseline):
        return Performance("no champion", margin=settings.margin, sentence="There is no champion, so there is nothing to watch.")
    if not is_present(current_data):
        return Performance("cannot tell", margin=settings.margin, sentence="Cannot tell: there are no rows.", predictions=predictions)
    from evergreen.models.files import load_model, read_description

    logged = predictions == LOG
    watched = as_logged(read_description(model.path), str(model.metadata.get("version", ""))) if logged else asked_now(load_model(model.path))
    question = _Question(watched, read_json(baseline.path), columns, settings, logged=logged, seed=seed)
    return _monitor(question, read_frame(current_data.path), current_data.metadata.get("window_end"))


def monitor_rows(
    champion: FittedModel,
    baseline: dict[str, Any],
    frame: pd.DataFrame,
    *,
    window_end: str | None,
    columns: WatchedColumns,
    settings: PerformanceSettings,
    seed: int,
) -> Performance:
    """Score a model on the rows of a window that it has not seen and that have a label, and compare with its baseline.

    Arguments and errors are those of `monitor`, with the model, its baseline and the rows themselves in place of artifacts.
    """
    return _monitor(_Question(asked_now(champion), baseline, columns, settings, logged=False, seed=seed), frame, window_end)


@dataclass(frozen=True)
class _Question:
    """What is asked about a window's rows: of whom, compared with what, and how."""

    watched: WatchedModel
    baseline: dict[str, Any]
    columns: WatchedColumns
    settings: PerformanceSettings
    logged: bool
    seed: int


def _monitor(question: _Question, frame: pd.DataFrame, window_end: str | None) -> Performance:
    baseline, columns = question.baseline, question.columns
    result = Performance("cannot tell", metric=str(baseline.get("metric") or ""), margin=question.settings.margin)
    result.predictions = LOG if question.logged else CHAMPION
    result.baseline_score, result.baseline_lower, result.baseline_upper = (_number(baseline.get(name)) for name in ("score", "lower", "upper"))
    if not result.metric or result.baseline_score is None:
        raise PerformanceError(
            f"baseline: expected a metric and a score, found {baseline.get('metric')!r} and {baseline.get('score')!r}. Promote a model again."
        )
    rows = new_rows(frame, question.watched, logged=question.logged, window_end=window_end, **asdict(columns))
    result.rows, result.rows_unlabelled = len(rows.labelled), len(rows.unlabelled)
    result.rows_seen_by_champion, result.rows_other_versions = rows.seen, rows.other_versions
    if question.logged:
        left_out = (columns.target_column, columns.timestamp_column)
        result.unlike = compare_unlabelled(rows.unseen, rows.settled, left_out=left_out, seed=question.seed)
    try:
        metric = resolve_metric(result.metric, question.watched.description.task)
        _fill_from_labels(result, question, rows, metric)
    except ScoringError as error:
        result.sentence = f"Cannot tell: {error}"
    else:
        _fill_estimate(result, question, rows, metric)
    return result


def _fill_from_labels(result: Performance, question: _Question, rows: NewRows, metric: Metric) -> None:
    settings, seed = question.settings, question.seed
    if len(rows.labelled) < settings.minimum_rows:
        result.sentence = (
            f"Cannot tell: {len(rows.labelled)} labelled rows are newer than what the champion has seen ({rows.seen} seen, "
            f"{len(rows.unlabelled)} without a settled label); at least {settings.minimum_rows} are needed."
        )
        return
    try:
        said = question.watched.predictions(rows.labelled, target_column=question.columns.target_column)
        _judge(result, metric, bootstrap_interval(metric, said, confidence=CONFIDENCE, resamples=RESAMPLES, seed=seed), rows=len(said))
    except ScoringError as error:
        # Not the caller's handler: an estimate may still be had.
        result.sentence = f"Cannot tell: {error}"
        return
    result.errors = asdict(compare_errors(question.baseline.get("errors"), said))
    result.slices = score_parts(rows.labelled, said, metric=metric, settings=settings, seed=seed)
    result.worst_slice = worst_part(result.slices)


def _fill_estimate(result: Performance, question: _Question, rows: NewRows, metric: Metric) -> None:
    """Estimate the rows without a label, or all where too few have one; nothing where there is nothing to estimate."""
    told, settings = result.score is not None, question.settings
    asked = rows.unlabelled if told else rows.unseen
    if settings.estimate == "off" or len(asked) < settings.minimum_rows:
        return
    request = EstimateRequest(
        metric=metric,
        of_rows="rows without a settled label" if told else "new rows",
        baseline=_baseline_interval(result),
        calibration=question.baseline.get("calibration"),
        maximum_error=settings.maximum_calibration_error,
        margin=settings.margin,
        seed=question.seed,
    )
    result.estimate = asdict(estimate_rows(question.watched, asked, request, target_column=question.columns.target_column))


def _baseline_interval(result: Performance) -> Interval:
    score = result.baseline_score or 0.0
    lower, upper = (score if bound is None else bound for bound in (result.baseline_lower, result.baseline_upper))
    return Interval(score, lower, upper)


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
