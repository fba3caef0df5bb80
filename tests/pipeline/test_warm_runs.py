"""A run whose steps are forked says and writes what one with a fresh interpreter for every step says and writes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kfp import dsl

from evergreen import ingest_data, validate_data
from evergreen.pipeline.local_run import LocalRun, run_locally
from evergreen.pipeline.local_steps import StepProcesses
from evergreen.runs.local_home import LocalHome

DIFFERENT = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a run, a task
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"  # now
    r"|\d\d? \w{3,9} \d{4}, \d\d:\d\d UTC"  # now, on a page
    r"|\"name\": \"\d+\""  # an artifact: this process counts them
    r"|\"(duration_s|started_at|finished_at)\": [^,}]+"
)


@dsl.component(install_kfp_package=False, base_image="python:3.11-slim")
def shout(word: str) -> str:
    return word.upper()


@dsl.pipeline(name="two-steps")
def two_steps(source: str, state_ledger_uri: str):
    window = ingest_data(
        source_uri=source,
        timestamp_column="time",
        window_days=100,
        ledger_uri=state_ledger_uri,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    )
    validated = validate_data(
        dataset=window.outputs["dataset"],
        target_column="rain",
        timestamp_column="time",
        ledger_uri=state_ledger_uri,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    )
    shout(word=validated.outputs["Output"])


def written(home: Path) -> dict[str, Any]:
    """Return all files of a home but for its log, by path; times and random names left out."""
    files: dict[str, Any] = {}
    for path in sorted(home.rglob("*")):
        if path.is_file() and path.parent.name != "logs":
            content = path.read_bytes()
            text = content.decode(errors="replace").replace(str(home), "HOME")
            files[DIFFERENT.sub("*", str(path.relative_to(home)))] = content if path.suffix == ".parquet" else DIFFERENT.sub("*", text)
    return files


@pytest.fixture(scope="module")
def runs(make_events: Callable[..., pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[LocalRun, Path]]:
    folder = tmp_path_factory.mktemp("runs")
    make_events(days=120).to_parquet(folder / "events.parquet")
    made = {}
    for name, make_launch in (("forked", None), ("isolated", StepProcesses)):
        home = LocalHome(folder / name)
        made[name] = run_locally(two_steps, {"source": str(folder / "events.parquet")}, home, lambda _: None, make_launch=make_launch), home.folder
    return made


def test_both_succeed_with_the_same_records(runs: dict[str, tuple[LocalRun, Path]]) -> None:
    forked, isolated = ([(record.step_name, record.state, record.outcome) for record in run.records] for run, _ in runs.values())
    assert forked == isolated
    assert [state for _, state, _ in forked] == ["succeeded", "succeeded"]
    assert not any(run.failure for run, _ in runs.values())


def test_both_write_the_same_files(runs: dict[str, tuple[LocalRun, Path]]) -> None:
    forked, isolated = (written(home) for _, home in runs.values())
    assert forked == isolated
    assert [json.loads(text)["parameterValues"]["Output"] for path, text in forked.items() if re.search("shout.*output_metadata", path)] == ["PASSED"]


def test_both_print_the_same(runs: dict[str, tuple[LocalRun, Path]]) -> None:
    # KFP's own executor, which a component that is not Evergreen's has, prints the time of each line.
    forked, isolated = (
        re.sub(r"\d\d:\d\d:\d\d,\d+|/tmp/tmp\S+", "*", DIFFERENT.sub("*", run.log_file.read_text().replace(str(home), "HOME"))) for run, home in runs.values()
    )
    assert forked == isolated
