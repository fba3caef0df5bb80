"""A progress bar for a person who watches; nothing in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reported_progress(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that takes how much more was done.

    The bar is drawn on standard error, only when that is a terminal and there is more than one thing to do.

    Args:
        doing: What is done, such as "Downloading".
        total: How much there is to do.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.advance(task, done)
