"""Which pipeline each run of the suite starts, and with which parameters beside those that all runs share.

The demo's data: a first model from the years before 1954, a quiet year before 1966, and the years after the relation between
weather and rain changed. For schedules the quiet years are moved to the present.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cluster.settings import FOLDER, ROOT

WEATHER = ROOT / "demo" / "weather.parquet"
RECENT = f"{FOLDER}/recent.parquet"
QUIET_UNTIL = datetime(1966, 1, 1, tzinfo=timezone.utc)

KEEP = {"policy_config": '{"triggers": ["no_champion"]}'}
"""A run that only has to get through: the moved years make the champion look seventy years old."""

FIRST, QUIET, CHANGED = ({"data_window_end": f"{year}-01-01"} for year in (1954, 1966, 1984))

MISSING_FILE = f"{FOLDER}/there-is-no-such-file.parquet"


@dataclass(frozen=True)
class Started:
    """What a run is started with.

    Attributes:
        pipeline: Name of the file in ``pipelines/``.
        parameters: Beside those that all runs share.
    """

    pipeline: str
    parameters: dict[str, Any] = field(default_factory=dict)


FULL, LEAN = "continuous_retraining", "lean_retraining"

RUNS = {
    "first run": Started(FULL, FIRST),
    "quiet day": Started(FULL, QUIET),
    "promotion": Started(FULL, CHANGED),
    "rollback": Started("rollback", {"rollback_reason": "the suite takes it back"}),
    "lean first run": Started(LEAN, FIRST),
    "lean quiet day": Started(LEAN, QUIET),
    "shards": Started("sharded_drift", {**QUIET, "shards": 3}),
    "search": Started("hyperparameter_search", {**FIRST, "shards": 2, "training_search": "{n_iter: 4, space: {max_depth: [3, 6], max_iter: [20, 40]}}"}),
    "backtest": Started("policy_backtest", {"data_window_end": "1964-01-01", "data_history_days": 5475, "training_start_days": 730}),
    "scheduled": Started(LEAN, {**KEEP, "data_source_uri": RECENT, "data_window_end": "scheduled"}),
    "at an event": Started(LEAN, {**KEEP, "data_source_uri": RECENT, "data_window_end": "latest"}),
    "terminated": Started(LEAN, FIRST),
    "outage": Started(LEAN, {**KEEP, **QUIET}),
    "permanent fault": Started(LEAN, {**QUIET, "data_source_uri": MISSING_FILE}),
    "secret": Started(LEAN, {**KEEP, **QUIET}),
}


def common_to(pipeline_parameters: set[str], shared: dict[str, Any]) -> dict[str, Any]:
    """Return the shared parameters that a pipeline has."""
    return {name: value for name, value in shared.items() if name in pipeline_parameters}


def write_recent(target: Path, *, now: datetime | None = None) -> Path:
    """Write the quiet years, moved by whole days so that they end a day or two from now."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    present = now or datetime.now(timezone.utc)
    table = pq.read_table(WEATHER)
    column = table.schema.get_field_index("observed_at")
    kind = table.schema.field(column).type
    table = table.filter(pc.less(table[column], pa.scalar(QUIET_UNTIL.replace(tzinfo=None), kind)))
    days = (present + timedelta(days=2) - QUIET_UNTIL).days
    moved = pc.add(table[column], pa.scalar(timedelta(days=days), pa.duration(kind.unit)))
    pq.write_table(table.set_column(column, "observed_at", moved), target)
    return target
