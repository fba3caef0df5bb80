"""The newest rows, put aside: what a challenger is judged on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

FEWEST_FIT_ROWS = 20


def holdout_start(times: pd.Series[pd.Timestamp], share: float) -> pd.Timestamp:
    """Return the event time at which the holdout starts: rows from it on are held out, rows before it are fitted on.

    Rows of the same time never part, so that the holdout may be a little larger than asked.

    Args:
        times: Event times, oldest first.
        share: Share of the rows to hold out, above 0 and below 1.

    Raises:
        TrainingError: The share is out of its range, or too few rows remain to fit on.
    """
    if not 0 < share < 1:
        raise TrainingError(f"holdout_share {share}: expected a share above 0 and below 1, such as 0.2.")
    start = times.iloc[len(times) - math.ceil(share * len(times))]
    before = int((times < start).sum())
    if before < FEWEST_FIT_ROWS:
        raise TrainingError(
            f"training data: {len(times)} labelled rows leave {before} to fit on before the holdout ({share:.0%}, from {start.isoformat()}); "
            f"expected at least {FEWEST_FIT_ROWS}. Widen training_window_days."
        )
    return start
