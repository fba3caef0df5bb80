"""Inputs of the ingestion step, as described by the component `ingest_data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IngestionRequest:
    """The source and the window to read.

    Attributes:
        source_uri: See :func:`evergreen.ingestion.sources.opening.open_source`.
        timestamp_column: Column with the event time.
        window_end: End of the window; see :func:`evergreen.ingestion.window_end.resolve_window_end`.
        schedule_time: Scheduled time of the run, or ``none``.
        window_days: Length of the window; with ``catch_up``, only of the first window.
        label_delay_days: Number of days by which the window ends earlier.
        excluded_columns: Columns to omit.
        model_name: Model whose windows are recorded, or ``none``.
        catch_up: Whether the window starts where the newest earlier window ended.
        decision: Artifact of decide_retraining, which may request a longer window and contains the end of its own window.
    """

    source_uri: str
    timestamp_column: str
    window_end: str = "latest"
    schedule_time: str = "none"
    window_days: int = 30
    label_delay_days: int = 0
    excluded_columns: str = "none"
    model_name: str = "none"
    catch_up: bool = False
    decision: Any = None
