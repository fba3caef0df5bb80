"""How many threads numeric libraries use: one for small data, all for large.

Measured with a histogram booster on 1,825 rows and two busy neighbours on two cores: 11 s with OpenMP's default (its threads
spin while they wait for each other), 2.3 s with a passive wait, 0.3 s with one thread.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS_WORTH_THREADS = 10_000_000
"""Rows times columns from which on several threads are faster than one on an idle machine."""


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait, in this process and its children, unless the user chose otherwise.

    Has an effect only before the first numeric library is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def fitting_threads(rows: int, columns: int) -> Iterator[None]:
    """Keep numeric libraries to one thread inside the block when the data is small.

    Args:
        rows: Number of rows.
        columns: Number of columns.
    """
    if rows * columns >= CELLS_WORTH_THREADS:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
