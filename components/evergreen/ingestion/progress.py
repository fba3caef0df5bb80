"""A progress bar for terminals, which writes nothing to logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reported_progress(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances the progress.

    The bar is drawn on standard error, only if that is a terminal and there is more than one item.

    Args:
        doing: Description of the action, such as "Downloading".
        total: Total number of items.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.advance(task, done)
