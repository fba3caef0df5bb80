"""Replays several policies in parallel, each in a separate process."""

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
    source: HistorySource, policies: Mapping[str, Policy | str], settings: BacktestSettings, *, progress: Callable[[str], None] = lambda _: None
) -> list[Replay]:
    """Replay policies in parallel processes.

    Args:
        source: The history.
        policies: The policies by name.
        settings: Their shared settings.
        progress: Called with a policy's name after each of its windows.

    Returns:
        The replays: never, always, then the others in their order.

    Raises:
        EvergreenError: The error of the first policy that failed.
    """
    wait_passively()
    # Spawn rather than fork, because a process with threads must not be forked.
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
