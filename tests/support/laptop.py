"""A laptop on which runs of the project's pipelines follow each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.registry.ledger import Ledger
from evergreen.reporting.summary import RunSummary, summarise_run
from evergreen.storage.opening import open_store
from support.local_runs import local_home, run_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.pipeline.local_run import LocalRun

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
PIPELINE = PIPELINES / "continuous_retraining.py"
MODEL = "rain"
CHANGE = "2023-01-01"
WITHOUT_SERVING = '{"gate": {"serving": {"check": false}}}'
"""A policy for runs that are about something else: the check starts two processes, each of which takes seconds to load a model."""


def events_that_change(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Three years in which nothing changes, and then days on which inputs and labels are other ones."""
    stable = make_events(start="2020-01-01", days=1096, seed=1)
    return pd.concat([stable, make_events(start=CHANGE, days=600, seed=2, shift=1.0, flip=True)], ignore_index=True)


class Laptop:
    """A local registry, ledger and data source on which runs follow each other."""

    def __init__(self, folder: Path, events: pd.DataFrame, empty_database: Path) -> None:
        """Write the events to a file, and copy the database that the first run would make: that takes seconds."""
        self.home = local_home(folder / "home", empty_database)
        self.source = folder / "events.parquet"
        events.to_parquet(self.source)

    def run(self, window_end: str, pipeline_file: Path = PIPELINE, **parameters: Any) -> tuple[RunSummary, LocalRun]:
        given = {
            "data_source_uri": str(self.source),
            "data_timestamp_column": "time",
            "data_target_column": "rain",
            "data_window_days": 60,
            "data_window_end": window_end,
            "training_window_days": 365,
            "model_name": MODEL,
            **parameters,
        }
        finished = run_file(pipeline_file, given, self.home.folder)
        return summarise_run(finished.records), finished

    def champion(self) -> str:
        from mlflow import MlflowClient

        return str(MlflowClient(self.home.tracking_uri).get_model_version_by_alias(MODEL, "champion").version)

    def versions(self) -> list[str]:
        from mlflow import MlflowClient

        return sorted(str(version.version) for version in MlflowClient(self.home.tracking_uri).search_model_versions(f"name='{MODEL}'"))

    def ledger_kinds(self) -> list[str]:
        return [record.kind for record in self.ledger().records()]

    def ledger(self) -> Ledger:
        return Ledger(open_store(self.home.ledger_uri), MODEL)

    def state(self) -> tuple[str, list[str], list[str]]:
        return self.champion(), self.versions(), self.ledger_kinds()
