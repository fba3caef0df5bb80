"""Replays one policy over history: each window is scored before anything can learn from it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from evergreen.backtest.learner import Champion, Learner, LearnerSettings
from evergreen.data.times import iso_time
from evergreen.drift.detection import detect
from evergreen.drift.settings import DriftSettings
from evergreen.performance.monitoring import WatchedColumns, monitor_rows
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.results.drift import DriftResult
from evergreen.results.performance import PerformanceResult

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from evergreen.backtest.timeline import HistoryWindow, Knowledge, Timeline
    from evergreen.performance.settings import PerformanceSettings
    from evergreen.policy.policy_file import Policy
    from evergreen.results.decision import Decision

NEVER, ALWAYS = "never", "always"
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
class WindowResult:
    """The result of a window.

    Attributes:
        start: Start of the window, ISO, UTC.
        end: End of the window, ISO, UTC.
        rows: Number of labelled rows.
        metric: Score of the model in use; None if undefined.
        retrained: Whether a challenger was trained after the window.
        promoted: Whether that challenger was promoted.
        rule: The rule that decided; the policy's own name for ``never`` and ``always``.
        reason: The first reason of the decision.
    """

    start: str
    end: str
    rows: int
    metric: float | None
    retrained: bool
    promoted: bool
    rule: str
    reason: str = ""


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


@dataclass(frozen=True)
class Replay:
    """The replay of a policy over history.

    Attributes:
        name: Name of the policy.
        windows: The result of each window, oldest first.
        seconds: Computing time in seconds.
        metric: Name of the metric; higher is better.
    """

    name: str
    windows: list[WindowResult]
    seconds: float
    metric: str

    @property
    def scored(self) -> list[WindowResult]:
        """The windows with a score."""
        return [window for window in self.windows if window.metric is not None]

    @property
    def mean_metric(self) -> float | None:
        """Mean score over the windows."""
        return fmean(window.metric for window in self.scored if window.metric is not None) if self.scored else None

    @property
    def worst(self) -> WindowResult | None:
        """The window with the lowest score."""
        return min(self.scored, key=lambda window: window.metric or 0.0) if self.scored else None

    @property
    def retrains(self) -> int:
        """Number of trained challengers."""
        return sum(window.retrained for window in self.windows)

    @property
    def promotions(self) -> int:
        """Number of promoted challengers."""
        return sum(window.promoted for window in self.windows)

    def as_json(self) -> dict[str, Any]:
        """Return the replay as plain JSON values."""
        worst = self.worst
        return {
            "name": self.name,
            "metric": self.metric,
            "mean_metric": self.mean_metric,
            "retrains": self.retrains,
            "promotions": self.promotions,
            "worst_window": worst.metric if worst else None,
            "worst_window_start": worst.start if worst else None,
            "seconds": round(self.seconds, 3),
            "windows": [asdict(window) for window in self.windows],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Replay:
        """Read a replay from the output of `as_json`."""
        windows = [WindowResult(**window) for window in content["windows"]]
        return cls(content["name"], windows, content["seconds"], content["metric"])


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
    started = time.process_time()
    windows = timeline.windows(window_days=settings.window_days, start_days=settings.start_days)
    columns = {"target_column": timeline.target_column, "timestamp_column": timeline.timestamp_column}
    learner = Learner(settings.learner, **columns, policy=None if isinstance(policy, str) else policy)
    # Labels of the first days arrive late, too: the first model uses what is known when the first window begins.
    champion = learner.first(timeline.at(windows[0].start), settings.start_days)
    metric = champion.baseline.metric
    results: list[WindowResult] = []
    with tempfile.TemporaryDirectory(prefix="evergreen-backtest-") as folder:
        watch = _Watch(Path(folder), settings, timeline)
        for window in windows:
            rows = timeline.outcome(window)
            score = learner.score(champion, rows)
            knowledge = timeline.at(window.end)
            if isinstance(policy, str):
                retrain, rule, reason = policy == ALWAYS, policy, ""
                challenger = learner.renew(knowledge, champion) if retrain else None
            else:
                decision = watch.decide(policy, champion, knowledge)
                retrain, rule, reason = decision.decision == "retrain", decision.rule, next(iter(decision.reasons), "")
                challenger = learner.challenge(knowledge, champion, decision) if retrain else None
                watch.remember(decision, promoted=challenger is not None)
            observer(Observation(window, champion, challenger or champion, retrain, rule))
            champion = challenger or champion
            results.append(_result(window, rows, score, retrained=retrain, promoted=challenger is not None, rule=rule, reason=reason))
            progress()
    return Replay(name, results, time.process_time() - started, metric)


def _result(window: HistoryWindow, rows: pd.DataFrame, score: float | None, *, retrained: bool, promoted: bool, rule: str, reason: str) -> WindowResult:
    return WindowResult(iso_time(window.start), iso_time(window.end), len(rows), score, retrained, promoted, rule, reason)


class _Watch:
    """Monitors a champion in the same way as the pipeline, and remembers past decisions."""

    def __init__(self, folder: Path, settings: BacktestSettings, timeline: Timeline) -> None:
        self._folder, self._settings, self._timeline = folder, settings, timeline
        self._history: list[PastDecision] = []
        self._reference: tuple[int, Path] | None = None

    def decide(self, policy: Policy, champion: Champion, knowledge: Knowledge) -> Decision:
        window = knowledge.newest(self._settings.window_days)
        end = iso_time(knowledge.settled)
        performance = self._performance(champion, window, end, policy.performance)
        evidence = Evidence(self._drift(champion, window), performance, champion.baseline, "auto", end, history=tuple(self._history))
        return decide(evidence, policy)

    def remember(self, decision: Decision, *, promoted: bool) -> None:
        self._history.append(
            PastDecision(decision.window_end, decision.decision, decision.fired, decision.rows, decision.rule, promoted=promoted, measured=decision.measured)
        )

    def _performance(self, champion: Champion, window: pd.DataFrame, end: str, settings: PerformanceSettings) -> PerformanceResult:
        if champion.baseline.score is None:
            # Too few labels had arrived when it was judged, so there is nothing to compare with yet.
            return PerformanceResult("cannot tell", sentence="The champion was judged on too few rows to have its own score.")
        return monitor_rows(
            champion.model,
            champion.baseline,
            window,
            window_end=end,
            columns=WatchedColumns(self._timeline.target_column, self._timeline.timestamp_column),
            # Slices do not affect the decision, and every row of a past window has its label.
            settings=settings.model_copy(update={"slices": (), "estimate": "off"}),
            seed=self._settings.learner.seed,
        )

    def _drift(self, champion: Champion, window: pd.DataFrame) -> DriftResult:
        if window.empty:
            return DriftResult("insufficient", sentence="The window contains no rows.", rows={"current": 0})
        if self._reference is None or self._reference[0] != champion.version:
            path = self._folder / f"reference-{champion.version}.parquet"
            rows = champion.reference
            rows = rows if len(rows) <= REFERENCE_ROWS else rows.sample(REFERENCE_ROWS, random_state=self._settings.learner.seed)
            rows.to_parquet(path, index=False)
            self._reference = champion.version, path
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
