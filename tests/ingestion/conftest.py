"""Sources to ingest, and a short way to do it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.ingestion.sources.base import SourceRequest
from evergreen.ingestion.windowing import IngestedWindow, ingest_window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
ONE_DAY = SourceRequest(timestamp_column="time", excluded_columns=(), window_end=None, window_days=1, label_delay_days=0, now=0)


def daily_table(days: int = 10, *, start: datetime = START, **columns: pa.Array) -> pa.Table:
    times = pa.array([start + timedelta(days=day) for day in range(days)], pa.timestamp("us", tz="UTC"))
    return pa.table({"time": times, "value": pa.array([float(day) for day in range(days)]), "city": pa.array(["Oslo", "Rome"] * days)[:days], **columns})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    pq.write_table(daily_table(), path / "a.parquet")
    return path


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., tuple[pa.Table, IngestedWindow]]:
    def run(source_uri: object, **options: Any) -> tuple[pa.Table, IngestedWindow]:
        target = tmp_path / "out" / "dataset"
        ingested = ingest_window(target, source_uri=str(source_uri), **{"timestamp_column": "time", "window_days": 1000, **options})
        return pq.read_table(target), ingested

    return run
