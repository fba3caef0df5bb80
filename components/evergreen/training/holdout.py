"""The holdout: the newest rows, on which a challenger is judged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

FEWEST_FIT_ROWS = 20


def holdout_start(times: pd.Series[pd.Timestamp], share: float) -> pd.Timestamp:
    """Return the event time at which the holdout starts: rows before it are for fitting, the others are held out.

    Rows with the same time are never separated, so the holdout may be slightly larger than requested.

    Args:
        times: Event times, oldest first.
        share: Share of the rows to hold out, above 0 and below 1.

    Raises:
        TrainingError: The share is out of range, or too few rows remain for fitting.
    """
    if not 0 < share < 1:
        raise TrainingError(f"Invalid holdout_share {share}: expected a share above 0 and below 1, such as 0.2.")
    start = times.iloc[len(times) - math.ceil(share * len(times))]
    before = int((times < start).sum())
    if before < FEWEST_FIT_ROWS:
        raise TrainingError(
            f"training data: {len(times)} labelled rows leave {before} to fit on before the holdout ({share:.0%}, from {start.isoformat()}); "
            f"expected at least {FEWEST_FIT_ROWS}. Increase training_window_days."
        )
    return start
