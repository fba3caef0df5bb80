"""What an image runs for a step, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.pipeline.handover import TaskFolders, executor_input

INGEST = {
    "outputDefinitions": {"parameters": {"Output": {"parameterType": "STRING"}}, "artifacts": {"dataset": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
}


def execute(component: str, handed_over: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evergreen.pipeline.executor", component, "--executor_input", json.dumps(handed_over)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def ingest(folder: Path, **parameters: Any) -> dict[str, Any]:
    return executor_input(INGEST, {"timestamp_column": "time", **parameters}, {}, TaskFolders.below(folder / "task"))


def test_a_step_runs_and_says_what_came_of_it(tmp_path: Path) -> None:
    pd.DataFrame({"time": pd.date_range("2026-01-01", periods=40, tz="UTC"), "x": range(40)}).to_parquet(tmp_path / "events.parquet")
    finished = execute("ingestion.ingest_data", ingest(tmp_path, source_uri=str(tmp_path / "events.parquet"), window_days=10))
    assert finished.returncode == 0, finished.stderr
    told = json.loads((tmp_path / "task" / "output_metadata.json").read_text())
    assert told["parameterValues"]["Output"] == "2026-02-10T00:00:00Z"
    assert told["artifacts"]["dataset"]["artifacts"][0]["metadata"]["rows"] == 10


def test_the_last_line_of_a_failed_step_says_why(tmp_path: Path) -> None:
    finished = execute("ingestion.ingest_data", ingest(tmp_path, source_uri=str(tmp_path / "absent.parquet")))
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith(f"IngestionError: source '{tmp_path}/absent.parquet': ")
    assert not (tmp_path / "task" / "output_metadata.json").exists()


def test_an_image_of_another_version_is_named(tmp_path: Path) -> None:
    for component in ("ingestion.ingest_everything", "nowhere.ingest_data"):
        finished = execute(component, ingest(tmp_path))
        assert finished.returncode == 1
        last = finished.stderr.splitlines()[-1]
        assert f"Unknown component '{component}' for Evergreen" in last
        assert "compile it with the image's version" in last


def test_a_step_does_not_print_what_it_was_given(tmp_path: Path) -> None:
    finished = execute("ingestion.ingest_data", ingest(tmp_path, source_uri=str(tmp_path / "absent.parquet"), excluded_columns="canary-4711"))
    assert "canary-4711" not in finished.stdout + finished.stderr
