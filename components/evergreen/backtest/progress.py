"""The progress of a backtest on standard error: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN = 10.0
SHARE_BETWEEN = 0.1


@contextmanager
def show_progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show how many windows are done on standard error, and how long the rest will take.

    Args:
        total: Number of windows of all policies together.

    Yields:
        The function to call after each window.
    """
    if not sys.stderr.isatty():
        yield PlainProgress(total).advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("Replaying windows", total=total)
        yield lambda _: bar.advance(task)


class PlainProgress:
    """Prints a line at most every ten seconds, and only after another tenth of the windows, so that a log stays short."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            total: Number of windows.
            clock: Returns the time in seconds.
        """
        self._total, self._clock = total, clock
        self._done, self._told = 0, 0
        self._started = self._last = clock()

    def advance(self, _: str = "") -> None:
        """Count a window."""
        self._done += 1
        now = self._clock()
        if now - self._last < SECONDS_BETWEEN or self._done - self._told < SHARE_BETWEEN * self._total or self._done >= self._total:
            return
        left = (now - self._started) / self._done * (self._total - self._done)
        sys.stderr.write(f"{self._done} of {self._total} windows, about {_duration(left)} left\n")
        sys.stderr.flush()
        self._told, self._last = self._done, now


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
