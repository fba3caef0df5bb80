"""Divides the newest rows into the blocks of a repeated forward validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FEWEST_BLOCK_ROWS = 15
"""Two such blocks hold the 30 rows that the gate requires by default."""
MOST_BLOCK_ROWS = 200
SHARE_OF_CHANGE = 4
"""A block takes at most a quarter of the rows since the change, so that a quarter is left to learn from in the first comparison and half in the last."""


@dataclass(frozen=True)
class Blocks:
    """Positions of the three blocks in rows that are in time order; each block ends where the next one begins, the last one with the rows.

    Attributes:
        choice: First row of the block on which the first choice is made.
        validation: First row of the block that the first choice predicts, and on which the second choice is made.
        holdout: First row of the block that the challenger predicts. No choice depends on it.
        rows: Number of rows in all.
    """

    choice: int
    validation: int
    holdout: int
    rows: int


def divide(times: pd.Series[pd.Timestamp], *, since: int, unseen: int, holdout_share: float) -> Blocks | None:
    """Return the blocks, or None if there are too few rows for them.

    Args:
        times: Event time of each row, oldest first. Rows with the same time are never separated.
        since: Number of newest rows since the relation changed.
        unseen: Number of newest rows that the champion has not seen; it is compared on no others.
        holdout_share: Share of all rows to hold out at most.
    """
    rows = len(times)
    most = min(since // SHARE_OF_CHANGE, unseen // 2, max(FEWEST_BLOCK_ROWS, int(holdout_share * rows / 2)), MOST_BLOCK_ROWS)
    if most < FEWEST_BLOCK_ROWS:
        return None
    holdout = first_of_its_time(times, rows - most)
    validation = first_of_its_time(times, holdout - most)
    choice = first_of_its_time(times, validation - most)
    if not 0 < choice < validation < holdout or rows - validation > unseen:
        return None
    return Blocks(choice, validation, holdout, rows)


def first_of_its_time(times: pd.Series[pd.Timestamp], position: int) -> int:
    """Return the position of the first row with the same time as a row."""
    return int(times.searchsorted(times.iloc[position], side="left")) if position > 0 else 0
