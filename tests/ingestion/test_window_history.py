"""Windows that follow each other: gaps, overlaps, late rows, and catching up without reading anything twice."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kfp import dsl
from typer.testing import CliRunner

from evergreen import ingest_data
from evergreen.cli.main import app
from evergreen.ingestion.errors import IngestionError
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from ingestion.conftest import START, daily_table
from ingestion.test_sql_source import database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def day(number: int) -> str:
    return (START + timedelta(days=number)).isoformat().replace("+00:00", "Z")


@pytest.fixture
def step(source: Path, tmp_path: Path) -> Callable[..., tuple[list[float], dict[str, Any], Any]]:
    runs = iter(range(100))

    def run(end: int | str, *, uri: object = source, **options: Any) -> tuple[list[float], dict[str, Any], Any]:
        run_id = f"r{next(runs)}"
        dataset = dsl.Dataset(name="dataset", uri=str(tmp_path / run_id), metadata={})
        ledger = str(tmp_path / "ledger")
        arguments = {"window_days": 2, "model_name": "rain/model", "step_name": "ingest_window", **options}
        asked = end if isinstance(end, str) else day(end)
        ingest_data.python_func(dataset=dataset, source_uri=str(uri), timestamp_column="time", window_end=asked, ledger_uri=ledger, run_id=run_id, **arguments)
        (record,) = read_run(open_store(ledger), run_id)
        return pq.read_table(dataset.path)["value"].to_pylist(), record.details, dataset

    return run


def add_rows(source: Path, name: str, *days: int) -> None:
    times = pa.array([START + timedelta(days=number) for number in days], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"time": times, "value": [100.0 + number for number in days], "city": ["Bern"] * len(days)}), source / name)


def test_windows_that_touch_have_neither_gap_nor_overlap(step: Callable[..., Any]) -> None:
    _, first, _ = step(2)
    assert (first["watermark_before"], first["gap"], first["overlap_days"], first["late_rows"]) == (None, None, 0.0, 0)
    _, second, _ = step(4)
    assert (second["watermark_before"], second["gap"], second["overlap_days"], second["late_rows"]) == (day(2), None, 0.0, 0)


def test_gaps_and_overlaps_are_told(step: Callable[..., Any]) -> None:
    step(2)
    assert step(7)[1]["gap"] == {"start": day(2), "end": day(5), "days": 3.0}
    assert step(8)[1]["overlap_days"] == 1.0


def test_rows_that_came_late_or_went_are_counted(step: Callable[..., Any], source: Path) -> None:
    step(4)
    add_rows(source, "late.parquet", 2, 3, 3, 5)
    assert step(6)[1]["late_rows"] == 3
    (source / "late.parquet").unlink()
    assert step(8)[1]["rows_gone"] == 1


def test_late_rows_of_a_database_are_counted(step: Callable[..., Any], tmp_path: Path) -> None:
    uri = database(tmp_path / "d.sqlite", days=60)
    step(4, uri=uri)
    database(tmp_path / "more.sqlite", days=60, extra=[day(3), day(3)])
    assert step(40, uri=f"sqlite:///{tmp_path}/more.sqlite#events")[1]["late_rows"] == 2


def test_a_missed_schedule_catches_up_without_reading_twice(step: Callable[..., Any]) -> None:
    read = [step(end, catch_up=True) for end in (2, 4, 9, "latest")]
    assert [values for values, _, _ in read] == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0, 6.0, 7.0, 8.0], [9.0]]
    assert all(details["gap"] is None and details["overlap_days"] == 0 for _, details, _ in read)


def test_a_step_that_runs_again_takes_the_same_window_and_adds_nothing(step: Callable[..., Any], tmp_path: Path) -> None:
    step(4, catch_up=True)
    first, once, _ = step(8, catch_up=True)
    again, twice, _ = step(8, catch_up=True)
    assert (first, once["seen_before"], twice["seen_before"]) == (again, False, True)
    assert len(open_store(str(tmp_path / "ledger")).names("windows/")) == 2


def test_a_window_with_other_rows_is_added_beside_the_first(step: Callable[..., Any], source: Path, tmp_path: Path) -> None:
    step(4)
    add_rows(source, "late.parquet", 3)
    _, details, _ = step(4)
    assert (details["late_rows"], details["seen_before"]) == (1, False)
    assert len(open_store(str(tmp_path / "ledger")).names("windows/")) == 2


def test_earlier_numbers_of_rows_travel_with_the_dataset(step: Callable[..., Any]) -> None:
    step(2)
    step(4)
    step(5, window_days=3)
    _, _, dataset = step(7)
    assert json.loads(dataset.metadata["earlier_rows"]) == [2, 2]


def test_models_and_steps_have_histories_of_their_own(step: Callable[..., Any]) -> None:
    step(4)
    assert step(6, model_name="other")[1]["watermark_before"] is None
    assert step(6, step_name="ingest_training_data")[1]["watermark_before"] is None
    assert "watermark_before" not in step(6, model_name="none")[1]


def test_the_command_shows_windows_gaps_and_the_watermark(step: Callable[..., Any], tmp_path: Path) -> None:
    step(2)
    step(7)
    words = ["windows", "rain/model", "--ledger-uri", str(tmp_path / "ledger")]
    shown = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout.splitlines()[-1])
    assert shown["watermark"] == day(7)
    assert [(line["end"], line["rows"], line["gap_days"]) for line in shown["windows"]] == [(day(2), 2, 0.0), (day(7), 2, 3.0)]
    text = CliRunner().invoke(app, words).stdout
    assert f"Watermark: {day(7)}" in text
    assert "No windows" in CliRunner().invoke(app, ["windows", "nobody", *words[2:]]).stdout


def test_catching_up_needs_a_memory(step: Callable[..., Any]) -> None:
    with pytest.raises(IngestionError, match="catch_up needs a record of earlier windows, but model_name is 'none'"):
        step(4, catch_up=True, model_name="none")


def test_a_spoilt_record_is_named(step: Callable[..., Any], tmp_path: Path) -> None:
    step(2)
    store = open_store(str(tmp_path / "ledger"))
    (name,) = store.names("windows/")
    store.write(name, b"{")
    with pytest.raises(IngestionError, match=r"window record .*cannot be read.*Restore or remove it"):
        step(4)


def test_now_is_the_clock_of_the_machine(source: Path, ingest: Callable[..., Any]) -> None:
    soon = datetime.now(timezone.utc).replace(minute=30, second=0, microsecond=0) + timedelta(hours=5)
    pq.write_table(daily_table(1, start=soon), source / "b.parquet")
    assert ingest(source)[1].window_end.startswith(f"{soon:%Y-%m-%dT%H}")
