"""Monitors whether the champion still performs as well as when it was promoted."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present, read_frame, read_json
from evergreen.data.columns import event_times
from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.metrics.predictions import Interval, ScoringError
from evergreen.metrics.scoring import bootstrap_interval, resolve_metric
from evergreen.performance.error_drift import compare_errors
from evergreen.performance.errors import PerformanceError
from evergreen.performance.estimation import EstimateRequest, estimate_rows
from evergreen.performance.explanation import with_explanation
from evergreen.performance.probed_rows import OlderRows, with_probe
from evergreen.performance.slice_scores import score_parts, worst_part
from evergreen.performance.unlabelled_rows import compare_unlabelled
from evergreen.performance.watched_rows import CHAMPION, LOG, NewRows, WatchedModel, as_logged, asked_now, new_rows
from evergreen.results.baseline import Baseline
from evergreen.results.performance import PerformanceResult

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.metrics.scoring import Metric
    from evergreen.models.fitted import FittedModel
    from evergreen.performance.recent_rows import RecentRows
    from evergreen.performance.settings import PerformanceSettings

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class WatchedColumns:
    """The columns of the monitored rows.

    Attributes:
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        label_delay_days: Rows newer than this at the end of the window are not used, because their labels may still change.
    """

    target_column: str
    timestamp_column: str
    label_delay_days: int = 0


def monitor(
    model: Any,
    baseline: Any,
    current_data: Any,
    *,
    columns: WatchedColumns,
    settings: PerformanceSettings,
    predictions: str = CHAMPION,
    seed: int = 7,
    reference_data: Any = None,
    recent_rows: RecentRows | None = None,
) -> PerformanceResult:
    """Score the champion on new labelled rows and compare with its baseline.

    It is degraded if the drop from the baseline is larger than the margin and significant: the lower bound of the drop's 95 % interval is above 0.
    That interval is the normal approximation for the difference of two independent estimates, whose standard errors are derived
    from the bootstrap intervals of the baseline and of the current score (width / 2 x 1.96).

    Args:
        model: The champion's model artifact; may be absent.
        baseline: The champion's baseline artifact, JSON.
        current_data: The newest rows, or logged predictions with their labels.
        columns: Label, event time, and label delay.
        settings: Margin, minimum rows, slices, and whether to estimate.
        predictions: ``champion`` predicts with the model now; ``logged`` uses its logged predictions from `join_labels`.
        seed: Random seed for the bootstrap.
        reference_data: Artifact of the rows that the champion was fitted on, to explain a loss and for the probe; may be None or absent.
        recent_rows: The rows kept of earlier windows, for the probe, to which a sample of this window's is added; None to keep none.

    Raises:
        PerformanceError: A setting is out of range, a column is missing, or the baseline contains no metric and score.
        ModelError: The model cannot be loaded.
        ArtifactError: The rows or the baseline cannot be read.
    """
    if columns.label_delay_days < 0:
        raise PerformanceError(f"Invalid label_delay_days {columns.label_delay_days}: expected 0 or more days.")
    if predictions not in (CHAMPION, LOG):
        raise PerformanceError(f"Unknown predictions {predictions!r}. Valid values: {CHAMPION}, {LOG}.")
    if not is_present(model) or not is_present(baseline):
        return PerformanceResult("no champion", margin=settings.margin, sentence="There is no champion, so there is nothing to monitor.")
    if not is_present(current_data):
        return PerformanceResult("cannot tell", margin=settings.margin, sentence="Cannot tell: there are no rows.", predictions=predictions)
    from evergreen.models.files import load_model, read_description

    logged = predictions == LOG
    watched = as_logged(read_description(model.path), str(model.metadata.get("version", ""))) if logged else asked_now(load_model(model.path))
    known = Baseline.from_json(read_json(baseline.path), source=f"baseline {baseline.path}", error=PerformanceError)
    question = _Question(watched, known, columns, settings, logged=logged, seed=seed, reference=reference_data, recent_rows=recent_rows)
    return _monitor(question, read_frame(current_data.path), current_data.metadata.get("window_end"))


def monitor_rows(
    champion: FittedModel,
    baseline: Baseline,
    frame: pd.DataFrame,
    *,
    window_end: str | None,
    columns: WatchedColumns,
    settings: PerformanceSettings,
    seed: int,
    older: OlderRows | None = None,
) -> PerformanceResult:
    """Score a model on the labelled rows of a window that it has not seen, and compare it with its baseline.

    Arguments and errors are those of `monitor`, with the model, its baseline and the rows themselves instead of artifacts, and with the rows from
    before the window for the probe.
    """
    return _monitor(_Question(asked_now(champion), baseline, columns, settings, logged=False, seed=seed, older=older), frame, window_end)


@dataclass(frozen=True)
class _Question:
    """How to judge the rows of a window: with which model, compared with what, and with which settings."""

    watched: WatchedModel
    baseline: Baseline
    columns: WatchedColumns
    settings: PerformanceSettings
    logged: bool
    seed: int
    reference: Any = None
    recent_rows: RecentRows | None = None
    older: OlderRows | None = None


def _monitor(question: _Question, frame: pd.DataFrame, window_end: str | None) -> PerformanceResult:
    baseline, columns = question.baseline, question.columns
    if not baseline.metric or baseline.score is None:
        found = f"{baseline.metric or None!r} and {baseline.score!r}"
        raise PerformanceError(f"Invalid baseline: expected a metric and a score, found {found}. Promote a model again.")
    rows = new_rows(frame, question.watched, logged=question.logged, window_end=window_end, **asdict(columns))
    left_out = (columns.target_column, columns.timestamp_column)
    result = PerformanceResult(
        "cannot tell",
        metric=baseline.metric,
        baseline_score=baseline.score,
        baseline_lower=baseline.lower,
        baseline_upper=baseline.upper,
        margin=question.settings.margin,
        rows=len(rows.labelled),
        rows_unlabelled=len(rows.unlabelled),
        rows_seen_by_champion=rows.seen,
        predictions=LOG if question.logged else CHAMPION,
        rows_other_versions=rows.other_versions,
        unlike=compare_unlabelled(rows.unseen, rows.settled, left_out=left_out, seed=question.seed) if question.logged else None,
    )
    try:
        metric = resolve_metric(result.metric, question.watched.description.task)
        return _with_estimate(_with_labels(result, question, rows, metric), question, rows, metric)
    except ScoringError as error:
        return replace(result, sentence=f"Cannot tell: {error}")


def _with_labels(result: PerformanceResult, question: _Question, rows: NewRows, metric: Metric) -> PerformanceResult:
    settings, seed = question.settings, question.seed
    if len(rows.labelled) < settings.minimum_rows:
        why = (
            f"Cannot tell: {len(rows.labelled)} labelled rows are newer than the champion's training data ({rows.seen} seen, "
            f"{len(rows.unlabelled)} without a settled label); at least {settings.minimum_rows} are required."
        )
        return replace(result, sentence=why)
    try:
        said = question.watched.predictions(rows.labelled, target_column=question.columns.target_column)
        judged = _judge(result, metric, bootstrap_interval(metric, said, confidence=CONFIDENCE, resamples=RESAMPLES, seed=seed), rows=len(said))
    except ScoringError as error:
        # Handle this here rather than in the caller, because an estimate may still be possible.
        return replace(result, sentence=f"Cannot tell: {error}")
    slices = score_parts(rows.labelled, said, metric=metric, settings=settings, seed=seed)
    told = replace(judged, errors=compare_errors(question.baseline.errors, said), slices=slices, worst_slice=worst_part(slices))
    explained = with_explanation(told, rows.labelled, question.watched.description, question.reference, seed=seed)
    return with_probe(
        explained, rows.labelled, _older_rows(question, rows), question.watched, metric, settings=settings.probe, logged=question.logged, seed=seed
    )


def _older_rows(question: _Question, rows: NewRows) -> OlderRows:
    """Return the rows from before the window, and keep a sample of the window's for later ones."""
    if question.older is not None:
        return question.older
    columns, probe = question.columns, question.settings.probe
    recent = None
    problems: list[str] = []
    if question.recent_rows is not None and probe.run:
        timestamp = columns.timestamp_column
        wanted = [*question.watched.description.features, columns.target_column, timestamp]
        recent, problems = question.recent_rows.before(event_times(rows.labelled[timestamp]).min(), columns=wanted, timestamp_column=timestamp)
        if probe.keep_rows and set(wanted) <= set(rows.labelled.columns):
            question.recent_rows.keep(rows.labelled, columns=wanted, timestamp_column=timestamp, seed=question.seed)
    return OlderRows(recent, _labelled_reference(question.reference) if probe.run else None, tuple(problems))


def _labelled_reference(reference: Any) -> pd.DataFrame | None:
    from evergreen.drift.profile.file import is_profile

    if reference is None or not is_present(reference) or is_profile(reference.path):
        return None
    return read_frame(reference.path)


def _with_estimate(result: PerformanceResult, question: _Question, rows: NewRows, metric: Metric) -> PerformanceResult:
    """Estimate the score on the rows without a label, or on all rows if too few have one; do nothing if there are too few rows to estimate."""
    told, settings = result.score is not None, question.settings
    asked = rows.unlabelled if told else rows.unseen
    if settings.estimate == "off" or len(asked) < settings.minimum_rows:
        return result
    request = EstimateRequest(
        metric=metric,
        of_rows="rows without a settled label" if told else "new rows",
        baseline=_baseline_interval(result),
        calibration=question.baseline.calibration,
        maximum_error=settings.maximum_calibration_error,
        margin=settings.margin,
        seed=question.seed,
    )
    return replace(result, estimate=estimate_rows(question.watched, asked, request, target_column=question.columns.target_column))


def _baseline_interval(result: PerformanceResult) -> Interval:
    score = result.baseline_score or 0.0
    lower, upper = (score if bound is None else bound for bound in (result.baseline_lower, result.baseline_upper))
    return Interval(score, lower, upper)


def _judge(result: PerformanceResult, metric: Metric, now: Interval, *, rows: int) -> PerformanceResult:
    baseline, margin = result.baseline_score or 0.0, result.margin
    error = math.hypot(_standard_error(result.baseline_lower, result.baseline_upper), _standard_error(now.lower, now.upper))
    drop = baseline - now.score
    lower, upper = drop - NORMAL_QUANTILE * error, drop + NORMAL_QUANTILE * error
    significant = lower > 0
    span = f"95 % interval {lower:.4g} to {upper:.4g}"
    what = f"{metric.name} is {now.score:.4g} on {rows} new rows and was {baseline:.4g} at promotion: a drop of {drop:.4g} ({span})"
    degraded = significant and drop > margin
    if degraded:
        sentence = f"Degraded: {what}, significant and larger than the margin of {margin:.4g}."
    else:
        why = f"significant, but not larger than the margin of {margin:.4g}" if significant else "not significant"
        sentence = f"Holds: {what}, {why}."
    return replace(
        result,
        verdict="degraded" if degraded else "holds",
        score=now.score,
        lower=now.lower,
        upper=now.upper,
        drop=drop,
        drop_lower=lower,
        drop_upper=upper,
        sentence=sentence,
    )


def _standard_error(lower: float | None, upper: float | None) -> float:
    # A baseline without an interval counts as exact, which holds the champion accountable for every drop.
    return 0.0 if lower is None or upper is None else (upper - lower) / (2 * NORMAL_QUANTILE)
