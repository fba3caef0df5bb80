"""Replays several policies on all cores.

Policies that decide by what they see are replayed window by window, several of them in step in one process, where they share what has the same inputs.
For a policy that retrains in every window anyway, each window is a task of its own. Measured with always, default and never on 277,000 rows and two
cores: in a process for each policy, always takes 158 s of computing time and the two others 83 s together, so one core is idle for half of the time.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import queue
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.backtest.every_window import EveryWindow, assembled, best_fixed, fixed_key, fixed_window, fixed_windows
from evergreen.backtest.replay import BacktestSettings, replay_in_step
from evergreen.backtest.replayed import ALWAYS, FIXED, Replay, in_order
from evergreen.backtest.timeline import Timeline
from evergreen.models.threads import wait_passively

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from evergreen.backtest.every_window import WindowOutcome
    from evergreen.policy.policy_file import Policy

    Schedule = Policy | EveryWindow | str

POLL_S = 0.2
MOST_WORKERS = 8
"""Each holds the whole history."""


@dataclass(frozen=True)
class HistorySource:
    """Location of the history and how to read it; see `Timeline.read`.

    Attributes:
        path: A Parquet or CSV file, or a folder of them.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        label_delay_days: Days after which the label of a row is known.
        excluded_columns: Columns that are neither features nor label nor time.
        since: Event time (ISO) at which the history begins; empty for the first row.
        until: Event time (ISO) before which the history ends; empty for the last row.
    """

    path: str
    target_column: str
    timestamp_column: str
    label_delay_days: int = 0
    excluded_columns: tuple[str, ...] = field(default=())
    since: str = ""
    until: str = ""

    def timeline(self) -> Timeline:
        """Read the history.

        Raises:
            ArtifactError: The history cannot be read.
            BacktestError: Its rows cannot be used.
        """
        return Timeline.read(
            self.path,
            target_column=self.target_column,
            timestamp_column=self.timestamp_column,
            label_delay_days=self.label_delay_days,
            excluded_columns=self.excluded_columns,
        ).between(self.since, self.until)


def replay_all(
    source: HistorySource, policies: Mapping[str, Schedule], settings: BacktestSettings, *, progress: Callable[[str], None] = lambda _: None
) -> list[Replay]:
    """Replay policies in parallel processes.

    Args:
        source: The history.
        policies: The policies by name; the name ``best fixed window`` stands for all fixed windows that it is chosen from.
        settings: Their shared settings.
        progress: Called with a policy's name after each of its windows.

    Returns:
        The replays: never, always, the bounds chosen in hindsight, then the others in their order.

    Raises:
        EvergreenError: The error of the first policy that failed.
    """
    windows = len(source.timeline().windows(window_days=settings.window_days, start_days=settings.start_days))
    scheduled, deciding = split(policies, settings)
    wait_passively()
    workers = max(1, min(os.cpu_count() or 1, MOST_WORKERS, len(deciding) + windows * len(scheduled)))
    # Spawn rather than fork, because a process with threads must not be forked.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        ticks: Any = manager.Queue()
        with ProcessPoolExecutor(workers, context, _prepare_worker, (source, settings, ticks)) as pool:
            # The longest first: policies that decide, then the last windows of the others, which have the most rows.
            together = [pool.submit(_replay_in_step, part) for part in _parts(deciding, workers)]
            single = {(key, number): pool.submit(_replay_window, each, number) for number in reversed(range(windows)) for key, each in scheduled.items()}
            _finish(pool, [*together, *single.values()], ticks, progress)
    found = {made.name: made for future in together for made in future.result()}
    by_key = {key: assembled(each.name, [single[key, number].result() for number in range(windows)]) for key, each in scheduled.items()}
    return in_order([found[name] if name in found else _of_schedule(name, by_key, settings) for name in policies])


def split(policies: Mapping[str, Schedule], settings: BacktestSettings) -> tuple[dict[str, EveryWindow], dict[str, Policy | str]]:
    """Return the replays that policies need: those that retrain in every window, and those that decide.

    Args:
        policies: The policies by name.
        settings: Their shared settings.

    Returns:
        Those that retrain in every window, by a key; and the others by name.
    """
    scheduled: dict[str, EveryWindow] = {}
    deciding: dict[str, Policy | str] = {}
    for name, policy in policies.items():
        if isinstance(policy, EveryWindow):
            scheduled[name] = policy
        elif policy == FIXED:
            # The longest one is always.
            scheduled |= {fixed_key(days, settings): fixed_window(days, settings) for days in fixed_windows(settings)}
        elif policy == ALWAYS:
            scheduled[ALWAYS] = EveryWindow(ALWAYS)
        else:
            deciding[name] = policy
    return scheduled, deciding


def _of_schedule(name: str, by_key: Mapping[str, Replay], settings: BacktestSettings) -> Replay:
    return best_fixed({days: by_key[fixed_key(days, settings)] for days in fixed_windows(settings)}) if name == FIXED else by_key[name]


def _parts(policies: Mapping[str, Policy | str], workers: int) -> list[dict[str, Policy | str]]:
    """Return the policies in as many parts as there are workers; neighbours stay together, because they are the most alike."""
    names = list(policies)
    count = min(workers, len(names))
    bounds = [round(number * len(names) / count) for number in range(count + 1)] if count else []
    return [{name: policies[name] for name in names[start:stop]} for start, stop in itertools.pairwise(bounds)]


def _finish(pool: ProcessPoolExecutor, tasks: Sequence[Future[Any]], ticks: Any, progress: Callable[[str], None]) -> None:
    """Wait for all tasks, or cancel the others once one has failed."""
    waiting: set[Future[Any]] = set(tasks)
    while waiting:
        done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_EXCEPTION)
        _drain(ticks, progress)
        if any(task.exception() is not None for task in done):
            pool.shutdown(wait=False, cancel_futures=True)
            break
    for task in tasks:
        if not task.cancelled():
            task.result()


def _drain(ticks: Any, progress: Callable[[str], None]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            progress(ticks.get_nowait())


@dataclass(frozen=True)
class _Work:
    """What a worker keeps between its tasks."""

    timeline: Timeline
    settings: BacktestSettings
    ticks: Any
    threads: Any


_work: list[_Work] = []


def _prepare_worker(source: HistorySource, settings: BacktestSettings, ticks: Any) -> None:
    from threadpoolctl import threadpool_limits

    # There is a worker for each core; more threads would only wait for each other.
    _work[:] = [_Work(source.timeline(), settings, ticks, threadpool_limits(limits=1))]


def _replay_in_step(policies: Mapping[str, Policy | str]) -> list[Replay]:
    work = _work[0]
    return replay_in_step(work.timeline, policies, settings=work.settings, progress=work.ticks.put)


def _replay_window(schedule: EveryWindow, number: int) -> WindowOutcome:
    work = _work[0]
    made = schedule.outcome(work.timeline, work.settings, number)
    work.ticks.put(schedule.name)
    return made
