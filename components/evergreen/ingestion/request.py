"""What an ingesting step is asked for, as the component `ingest_data` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IngestionRequest:
    """Which window of which source.

    Attributes:
        source_uri: See :func:`evergreen.ingestion.sources.opening.open_source`.
        timestamp_column: The event time.
        window_end: End of the window; see :func:`evergreen.ingestion.window_end.resolve_window_end`.
        schedule_time: When the run was scheduled, or ``none``.
        window_days: Length of the window; with ``catch_up`` only of the first.
        label_delay_days: Days by which the window ends earlier.
        excluded_columns: Columns to leave out.
        model_name: The model whose windows are remembered, or ``none``.
        catch_up: Whether the window starts where the newest earlier one ended.
        decision: Artifact of decide_retraining, which may ask for a longer window, and says where its own ended.
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
