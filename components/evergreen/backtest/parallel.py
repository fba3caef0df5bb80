"""Several policies at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.backtest.replay import ALWAYS, NEVER, BacktestSettings, Replay, replay
from evergreen.backtest.timeline import Timeline
from evergreen.models.threads import wait_passively

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evergreen.policy.policy_file import Policy

POLL_S = 0.2


@dataclass(frozen=True)
class HistorySource:
    """Where history lies and how it is read; see `Timeline.read`.

    Attributes:
        path: A Parquet or CSV file, or a folder of them.
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        label_delay_days: A label is known so many days after its row.
        excluded_columns: Columns that are neither features nor label nor time.
        since: Event time, ISO, at which history begins; empty for its own beginning.
        until: Event time, ISO, before which history ends; empty for its own end.
    """

    path: str
    target_column: str
    timestamp_column: str
    label_delay_days: int = 0
    excluded_columns: tuple[str, ...] = field(default=())
    since: str = ""
    until: str = ""

    def timeline(self) -> Timeline:
        """Read it.

        Raises:
            ArtifactError: It cannot be read.
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
    source: HistorySource, policies: Mapping[str, Policy | str], settings: BacktestSettings, *, progress: Callable[[str], None] = lambda _: None
) -> list[Replay]:
    """Replay policies in parallel processes.

    Args:
        source: History.
        policies: The policies by name.
        settings: What they share.
        progress: Called with a policy's name after each of its windows.

    Returns:
        The replays: never, always, then the others in their order.

    Raises:
        EvergreenError: What stopped the first policy that failed.
    """
    wait_passively()
    # Not forked: a process that has threads must not be.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(min(os.cpu_count() or 1, len(policies)), mp_context=context) as pool:
        ticks: Any = manager.Queue()
        futures = {name: pool.submit(_replay_one, source, policy, name, settings, ticks) for name, policy in policies.items()}
        waiting = set(futures.values())
        while waiting:
            waiting = wait(waiting, timeout=POLL_S).not_done
            _drain(ticks, progress)
        found = {name: future.result() for name, future in futures.items()}
    return sorted(found.values(), key=lambda made: {NEVER: 0, ALWAYS: 1}.get(made.name, 2))


def _drain(ticks: Any, progress: Callable[[str], None]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            progress(ticks.get_nowait())


def _replay_one(source: HistorySource, policy: Policy | str, name: str, settings: BacktestSettings, ticks: Any) -> Replay:
    return replay(source.timeline(), policy, name=name, settings=settings, progress=lambda: ticks.put(name))
