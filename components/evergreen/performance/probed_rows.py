"""What a new model would bring: gathers the rows for the probe and adds its result, and since when the champion's errors differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evergreen.data.columns import event_times
from evergreen.data.times import iso_time
from evergreen.metrics.change_point import latest_fall
from evergreen.metrics.predictions import ScoringError
from evergreen.performance.probe import ProbeRequest, labelled_in_order, run_probe

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.metrics.scoring import Metric
    from evergreen.performance.settings import ProbeSettings
    from evergreen.performance.watched_rows import WatchedModel
    from evergreen.results.performance import PerformanceResult, Probe


@dataclass(frozen=True)
class OlderRows:
    """Rows from before the monitored window.

    Attributes:
        recent: Labelled rows of earlier windows, or a sample of them; None if there are none.
        reference: Rows that the champion was fitted on, or a sample of them; None if there are none.
        problems: Sentences about kept rows that could not be read.
    """

    recent: pd.DataFrame | None = None
    reference: pd.DataFrame | None = None
    problems: tuple[str, ...] = ()


def with_probe(
    result: PerformanceResult,
    window: pd.DataFrame,
    older: OlderRows,
    watched: WatchedModel,
    metric: Metric,
    *,
    settings: ProbeSettings,
    logged: bool,
    seed: int,
) -> PerformanceResult:
    """Return the result with a probe and, if performance may have changed, the time since when.

    Args:
        result: The result so far.
        window: Labelled rows of the window that the champion has not seen.
        older: Rows from before the window.
        watched: The champion.
        metric: The metric.
        settings: How to probe.
        logged: Whether the champion's predictions are logged ones, which only rows of the window have.
        seed: Random seed.
    """
    target_column, timestamp_column = watched.description.target_column, watched.description.timestamp_column
    named = {"target_column": target_column, "timestamp_column": timestamp_column}
    if window.empty:
        return result
    new, seen = _divided(window, older, watched.description.fit_end, logged=logged, **named)
    request = ProbeRequest(watched, new, seen, len(window), **named, metric=metric, settings=settings, seed=seed)
    found = replace(result, probe=_with_problems(run_probe(request), older.problems) if settings.run else None)
    changed = result.verdict == "degraded" or (result.errors is not None and result.errors.verdict == "changed")
    if not changed and (found.probe is None or found.probe.verdict != "better"):
        return found
    return _with_change(found, new, watched, metric, seed=seed)


def _with_problems(probe: Probe, problems: tuple[str, ...]) -> Probe:
    return replace(probe, sentence=" ".join([probe.sentence, *problems]))


def _divided(
    window: pd.DataFrame, older: OlderRows, fit_end: str, *, logged: bool, target_column: str, timestamp_column: str
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the labelled rows that the champion has not seen, and those that it has, without overlaps."""
    import pandas as pd

    named = {"target_column": target_column, "timestamp_column": timestamp_column}
    new, seen = [window], []
    first = event_times(window[timestamp_column]).min()
    recent = older.recent
    if recent is not None and {target_column, timestamp_column} <= set(recent.columns):
        times = event_times(recent[timestamp_column])
        unseen = (times >= pd.Timestamp(fit_end)) & (not logged)
        new.insert(0, recent[unseen & (times < first)])
        seen.append(recent[~unseen & (times < first)])
        first = min(first, times.min())
    reference = older.reference
    if reference is not None and {target_column, timestamp_column} <= set(reference.columns):
        seen.insert(0, reference[event_times(reference[timestamp_column]) < first])
    old = [frame for frame in seen if len(frame)]
    return labelled_in_order([frame for frame in new if len(frame)], **named), labelled_in_order(old, **named) if old else None


def _with_change(result: PerformanceResult, new: pd.DataFrame, watched: WatchedModel, metric: Metric, *, seed: int) -> PerformanceResult:
    try:
        change = latest_fall(metric, watched.predictions(new, target_column=watched.description.target_column), seed=seed)
    except ScoringError:
        return result
    if change is None and result.verdict == "degraded":
        # The champion is worse than at its promotion, and equally so on all rows that are new to it.
        change = 0
    if change is None:
        return result
    return replace(result, changed_at=iso_time(new[watched.description.timestamp_column].iloc[change]), rows_since_change=len(new) - change)
