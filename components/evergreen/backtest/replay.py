"""Replays one policy over history: each window is scored before anything can learn from it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.backtest.fits import Shared, rows_name
from evergreen.backtest.learner import Champion, Learner, LearnerSettings
from evergreen.backtest.replayed import ALWAYS, Replay, WindowResult
from evergreen.data.times import iso_time
from evergreen.drift.detection import detect
from evergreen.drift.settings import DriftSettings
from evergreen.performance.monitoring import WatchedColumns, monitor_rows
from evergreen.performance.probed_rows import OlderRows
from evergreen.performance.recent_rows import MOST_ROWS_READ
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.results.drift import DriftResult
from evergreen.results.performance import PerformanceResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from evergreen.backtest.timeline import HistoryWindow, Knowledge, Timeline
    from evergreen.performance.settings import PerformanceSettings
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Decision

REFERENCE_ROWS = 20_000


@dataclass(frozen=True)
class BacktestSettings:
    """Settings shared by all policies of a backtest.

    Attributes:
        window_days: Length of the windows in days.
        start_days: Number of days at the start on which the first model is fitted.
        learner: How models are trained and judged.
        drift: What counts as drift.
    """

    window_days: int
    start_days: int
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    drift: DriftSettings = field(default_factory=lambda: DriftSettings(detectors="profile"))


@dataclass(frozen=True)
class Observation:
    """A window as an observer of the replay sees it, with the models themselves, for instance to score a replaced model on later windows.

    Attributes:
        window: The window.
        champion: The model in use in the window.
        successor: The model in use from the next window on: the promoted challenger, or the champion.
        retrained: Whether a challenger was trained after the window.
        rule: The rule that decided, as in `WindowResult`.
    """

    window: HistoryWindow
    champion: Champion
    successor: Champion
    retrained: bool
    rule: str


def replay(
    timeline: Timeline,
    policy: Policy | str,
    *,
    name: str,
    settings: BacktestSettings,
    progress: Callable[[], None] = lambda: None,
    observer: Callable[[Observation], None] = lambda _: None,
) -> Replay:
    """Replay a policy.

    After each window, the model is scored on the labels known by then, the drift of its inputs is measured, and the
    policy decides; a challenger that passes the gate is used from the next window onwards.

    Args:
        timeline: The history.
        policy: The policy; ``never`` never retrains, ``always`` refits on the training window after every window, without a gate.
        name: Name of the policy.
        settings: Settings shared by all policies.
        progress: Called after each window.
        observer: Called after each window with its models.

    Raises:
        BacktestError: The history is too short for the windows.
        TrainingError: A model cannot be trained on its window.
    """
    return replay_in_step(timeline, {name: policy}, settings=settings, progress=lambda _: progress(), observer=observer)[0]


def replay_in_step(
    timeline: Timeline,
    policies: Mapping[str, Policy | str],
    *,
    settings: BacktestSettings,
    progress: Callable[[str], None] = lambda _: None,
    observer: Callable[[Observation], None] = lambda _: None,
) -> list[Replay]:
    """Replay several policies window by window, sharing whatever has the same inputs: fits, predictions, scores and measured drift.

    The time of what is shared counts for the first policy that needs it. The arguments are those of `replay`.
    """
    windows = timeline.windows(window_days=settings.window_days, start_days=settings.start_days)
    shared = Shared()
    with tempfile.TemporaryDirectory(prefix="evergreen-backtest-") as folder:
        runs = [_Run(timeline, policy, name=name, settings=settings, shared=shared, folder=Path(folder)) for name, policy in policies.items()]
        for window in windows:
            for run in runs:
                observer(run.step(window))
                progress(run.name)
    return [Replay(run.name, run.results, run.seconds, run.metric) for run in runs]


class _Run:
    """A policy on its way through history."""

    def __init__(self, timeline: Timeline, policy: Policy | str, *, name: str, settings: BacktestSettings, shared: Shared, folder: Path) -> None:
        started = time.process_time()
        columns = {"target_column": timeline.target_column, "timestamp_column": timeline.timestamp_column}
        self._learner = Learner(settings.learner, **columns, policy=None if isinstance(policy, str) else policy, shared=shared)
        start = timeline.windows(window_days=settings.window_days, start_days=settings.start_days)[0].start
        # Labels of the first days arrive late, too: the first model uses what is known when the first window begins.
        self._champion = self._learner.first(timeline.at(start), settings.start_days)
        self._timeline, self._policy, self._watch = timeline, policy, _Watch(folder, settings, timeline, shared)
        self.name, self.metric = name, self._champion.baseline.metric
        self.results: list[WindowResult] = []
        self.seconds = time.process_time() - started

    def step(self, window: HistoryWindow) -> Observation:
        """Score the model in use in a window, and decide what is used from the next one on."""
        started = time.process_time()
        policy, champion, knowledge = self._policy, self._champion, self._timeline.at(window.end)
        rows = self._timeline.outcome(window)
        score = self._learner.score(champion, rows)
        if isinstance(policy, str):
            retrain, rule, reason = policy == ALWAYS, policy, ""
            challenger = self._learner.renew(knowledge, version=champion.version + 1) if retrain else None
        else:
            decision = self._watch.decide(policy, champion, knowledge)
            retrain, rule, reason = decision.decision == "retrain", decision.rule, next(iter(decision.reasons), "")
            challenger = self._learner.challenge(knowledge, champion, decision) if retrain else None
            self._watch.remember(decision, promoted=challenger is not None)
        self._champion = challenger or champion
        promoted = challenger is not None
        self.results.append(WindowResult(iso_time(window.start), iso_time(window.end), len(rows), score, retrain, promoted, rule, reason))
        self.seconds += time.process_time() - started
        return Observation(window, champion, self._champion, retrain, rule)


class _Watch:
    """Monitors a champion in the same way as the pipeline, and remembers past decisions."""

    def __init__(self, folder: Path, settings: BacktestSettings, timeline: Timeline, shared: Shared) -> None:
        self._folder, self._settings, self._timeline, self._shared = folder, settings, timeline, shared
        self._history: list[PastDecision] = []
        self._reference: tuple[str, Path] | None = None

    def decide(self, policy: Policy, champion: Champion, knowledge: Knowledge) -> Decision:
        window = knowledge.newest(self._settings.window_days)
        end = iso_time(knowledge.settled)
        seen = champion.model.token, rows_name(window)
        key = ("performance", *seen, end, repr(champion.baseline), repr(policy.performance))
        performance = self._shared.once(key, lambda: self._performance(champion, window, knowledge, policy.performance))
        drift = self._shared.once(("drift", *seen), lambda: self._drift(champion, window))
        evidence = Evidence(drift, performance, champion.baseline, "auto", end, history=tuple(self._history))
        return decide(evidence, policy)

    def remember(self, decision: Decision, *, promoted: bool) -> None:
        self._history.append(
            PastDecision(
                decision.window_end,
                decision.decision,
                decision.fired,
                decision.rows,
                decision.rule,
                promoted=promoted,
                measured=decision.measured,
                changed_at=decision.changed_at,
            )
        )

    def _performance(self, champion: Champion, window: pd.DataFrame, knowledge: Knowledge, settings: PerformanceSettings) -> PerformanceResult:
        if champion.baseline.score is None:
            # Too few labels had arrived when it was judged, so there is nothing to compare with yet.
            return PerformanceResult("cannot tell", sentence="The champion was judged on too few rows to have its own score.")
        return monitor_rows(
            champion.model,
            champion.baseline,
            window,
            window_end=iso_time(knowledge.settled),
            columns=WatchedColumns(self._timeline.target_column, self._timeline.timestamp_column),
            # Slices do not affect the decision, and every row of a past window has its label.
            settings=settings.model_copy(update={"slices": (), "estimate": "off"}),
            seed=self._settings.learner.seed,
            # A pipeline keeps a sample of these rows from window to window.
            older=OlderRows(recent=knowledge.older(self._settings.window_days, MOST_ROWS_READ)),
        )

    def _drift(self, champion: Champion, window: pd.DataFrame) -> DriftResult:
        if window.empty:
            return DriftResult("insufficient", sentence="The window contains no rows.", rows={"current": 0})
        if self._reference is None or self._reference[0] != champion.model.token:
            path = self._folder / f"reference-{champion.model.token}.parquet"
            rows = champion.reference
            rows = rows if len(rows) <= REFERENCE_ROWS else rows.sample(REFERENCE_ROWS, random_state=self._settings.learner.seed)
            rows.to_parquet(path, index=False)
            self._reference = champion.model.token, path
        current = self._folder / "current.parquet"
        window.to_parquet(current, index=False)
        compared = detect(
            self._reference[1],
            current,
            settings=self._settings.drift,
            ignored_columns=[self._timeline.target_column],
            timestamp_column=self._timeline.timestamp_column,
            importances=champion.model.description.importances or None,
            model=champion.model,
            seed=self._settings.learner.seed,
        )
        return compared.result
