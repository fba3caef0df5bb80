"""Predictions of two models for the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions


@dataclass(frozen=True)
class PredictionPair:
    """Predictions of both models for the compared rows; the champion's are None if it is absent or cannot be scored."""

    challenger: Predictions
    champion: Predictions | None = None
