"""The steps of the components: read their input artifacts, replay or compare, and write the results."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from evergreen.backtest.errors import BacktestError
from evergreen.backtest.every_window import EveryWindow, best_fixed, change_times, fixed_window, fixed_windows
from evergreen.backtest.learner import LearnerSettings
from evergreen.backtest.replay import BacktestSettings
from evergreen.backtest.replay import replay as replay_history
from evergreen.backtest.replayed import ALWAYS, FIXED, INFORMED, NEVER, Replay, in_order
from evergreen.backtest.report import backtest_page, verdict
from evergreen.backtest.timeline import Timeline
from evergreen.data.artifacts import PRESENT, read_json, write_json, write_metrics
from evergreen.policy.policy_file import read_policy
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

NO_PART_OF_A_NAME = re.compile(r"[^\w.:/-]+")
LONGEST_NAME = 60


def replay_step(
    *,
    history: Any,
    replay: Any,
    policy: str,
    target_column: str,
    timestamp_column: str,
    window_days: int,
    start_days: int,
    training_window_days: int,
    label_delay_days: int,
    estimator: str,
    metric: str,
    margin: float,
    seed: int,
    changes: str = "none",
) -> Replay:
    """Replay a policy and write the replay. The arguments are those of the component `replay_policy`.

    Raises:
        BacktestError: The history, the windows or the changes are invalid.
        PolicyError: The policy is invalid.
    """
    timeline = Timeline.read(history.path, target_column=target_column, timestamp_column=timestamp_column, label_delay_days=label_delay_days)
    settings = BacktestSettings(window_days, start_days, LearnerSettings(training_window_days, estimator, {}, "auto", metric, margin, 0.2, seed))
    known = change_times([part.strip() for part in ([] if is_nothing(changes) else changes.split(","))], timeline)
    made = _replayed(policy, timeline, settings, known)
    write_json(replay.path, made.as_json())
    replay.metadata.update({PRESENT: True, "policy": made.name})
    return made


def _replayed(policy: str, timeline: Timeline, settings: BacktestSettings, changes: tuple[pd.Timestamp, ...]) -> Replay:
    if policy == FIXED:
        made = {days: fixed_window(days, settings).replay(timeline, settings) for days in fixed_windows(settings)}
        # The longest one is always, whose time belongs to the choice here, because nothing else replays it in this step.
        return replace(best_fixed(made), seconds=sum(found.seconds for found in made.values()))
    if policy == INFORMED:
        if not changes:
            raise BacktestError(f"policy {INFORMED!r}: it has to be told of the changes. Set changes to their dates, or do not replay it.")
        return EveryWindow(INFORMED, changes=changes).replay(timeline, settings)
    chosen = policy if policy in (NEVER, ALWAYS) else read_policy(policy)
    return replay_history(timeline, chosen, name=_name(policy), settings=settings)


def _name(policy: str) -> str:
    in_line = "{" in policy or "\n" in policy or ": " in policy
    return policy.strip() if in_line else PurePosixPath(policy).stem


def report_step(*, replays: Sequence[Any], backtest_report: Any, metrics: Any) -> str:
    """Write the report of several replays. The arguments are those of the component `report_backtest`.

    Raises:
        BacktestError: Never or always is missing from the replays, or two replays have the same name.
    """
    made = [Replay.from_json(read_json(artifact.path)) for artifact in replays]
    names = [found.name for found in made]
    for needed in (NEVER, ALWAYS):
        if needed not in names:
            raise BacktestError(f"replays: {needed!r} is missing, which the policies are compared with; found {', '.join(names)}. Replay it, too.")
    if len(set(names)) < len(names):
        raise BacktestError(f"replays: two have the same name; the names are {', '.join(names)}. Replay each policy only once.")
    ordered = in_order(made)
    Path(backtest_report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(backtest_report.path).write_text(backtest_page(ordered), encoding="utf-8")
    for found, name in zip(ordered, _metric_names(ordered), strict=True):
        write_metrics(metrics, {f"{name}: mean score": found.mean_metric, f"{name}: retrainings": found.retrains})
    return verdict(ordered)


def _metric_names(replays: Sequence[Replay]) -> list[str]:
    """Return the policies' names in a form allowed for metrics; an inline policy is its own name."""
    names = [NO_PART_OF_A_NAME.sub(" ", found.name).strip()[:LONGEST_NAME] for found in replays]
    return [name if names.count(name) == 1 else f"{name} {number}" for number, name in enumerate(names, start=1)]
