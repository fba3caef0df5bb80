"""Where a window ends: which window a run looks at that is on time, late, started by hand, caught up on, or started twice."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen import ingest_data
from evergreen.data.artifacts import manifest_of
from evergreen.ingestion.cron import parse_cron
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.window_end import parse_window_end, resolve_window_end
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEWEST = "2024-01-11T00:00:00Z"
NIGHTLY = "scheduled(0 3 * * *)"


@pytest.fixture
def look(source: Path, tmp_path: Path) -> Callable[..., tuple[str, dict[str, str], dict[str, Any]]]:
    """Run ingest_data on days 1 to 10 of January 2024; returns its answer, the window, and what it recorded."""
    runs = iter(range(100))

    def run(window_end: str, schedule_time: str = "none", **options: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
        run_id = f"run-{next(runs)}"
        dataset = dsl.Dataset(name="dataset", uri=str(tmp_path / run_id), metadata={})
        place = {"ledger_uri": str(tmp_path / "ledger"), "run_id": run_id, "step_name": "ingest_window"}
        given = {"source_uri": str(source), "timestamp_column": "time", "window_days": 3, **options}
        answer = ingest_data.python_func(dataset=dataset, window_end=window_end, schedule_time=schedule_time, **given, **place)
        manifest = manifest_of(dataset)
        assert manifest is not None
        (record,) = read_run(open_store(str(tmp_path / "ledger")), run_id)
        return answer, manifest.window, record.details

    return run


@pytest.mark.parametrize(
    ("window_end", "schedule_time", "end"),
    [
        # On time, late or caught up on under "pinned": KFP gives the slot, whenever the run starts.
        ("scheduled", "2024-01-08T03:00:00Z", "2024-01-08T03:00:00Z"),
        ("Scheduled", "2024-01-08T03:00:00Z", "2024-01-08T03:00:00Z"),
        # By hand: KFP gives the creation time.
        ("scheduled", "2024-01-08T14:12:31Z", "2024-01-08T14:12:31Z"),
        ("scheduled", "20240108030000", "2024-01-08T03:00:00Z"),
        ("scheduled", "2024-01-08T05:00:00+02:00", "2024-01-08T03:00:00Z"),
        # Under "latest" KFP gives the creation time, which lies a little behind the slot, or much where the run is late.
        (NIGHTLY, "2024-01-08T03:00:12Z", "2024-01-08T03:00:00Z"),
        (NIGHTLY, "2024-01-08T09:41:07Z", "2024-01-08T03:00:00Z"),
        (NIGHTLY, "2024-01-08T03:00:00Z", "2024-01-08T03:00:00Z"),
        (NIGHTLY, "2024-01-08T02:59:59.999Z", "2024-01-07T03:00:00Z"),
        ("scheduled(0 0 3 * * *)", "2024-01-08T03:00:12Z", "2024-01-08T03:00:00Z"),
        ("SCHEDULED( */15 * * * * )", "2024-01-08T03:44:59Z", "2024-01-08T03:30:00Z"),
        ("scheduled(30 6 * * MON-FRI)", "2024-01-07T12:00:00Z", "2024-01-05T06:30:00Z"),
        ("scheduled(0 3 1 * 1)", "2024-01-10T12:00:00Z", "2024-01-08T03:00:00Z"),
        # Nobody says when: a laptop.
        ("scheduled", "none", NEWEST),
        ("scheduled", "", NEWEST),
        (NIGHTLY, "none", NEWEST),
        # What else is given stands, whatever the schedule says.
        ("latest", "2024-01-08T03:00:00Z", NEWEST),
        ("LATEST", "none", NEWEST),
        ("2024-01-05", "2024-01-08T03:00:00Z", "2024-01-05T00:00:00Z"),
        ("20240105021812", "none", "2024-01-05T02:18:12Z"),
        ("20240105", "none", "2024-01-05T00:00:00Z"),
        ("latest", "{{$.pipeline_job_schedule_time_utc}}", NEWEST),
        ("2024-01-05", "[[ScheduledTime]]", "2024-01-05T00:00:00Z"),
    ],
)
def test_a_run_looks_at_its_own_window(look: Callable[..., Any], window_end: str, schedule_time: str, end: str) -> None:
    answer, window, details = look(window_end, schedule_time)
    assert answer == window["end"] == end
    start = datetime.fromisoformat(end.replace("Z", "+00:00")) - timedelta(days=3)
    assert window["start"] == start.isoformat().replace("+00:00", "Z")
    scheduled = window_end.lower().startswith("scheduled") and schedule_time not in ("none", "")
    assert details.get("schedule_slot") == (end if scheduled else None)


def test_a_run_that_is_started_twice_looks_at_the_same_rows(look: Callable[..., Any]) -> None:
    first, again = look("scheduled", "2024-01-08T03:00:00Z", model_name="rain"), look("scheduled", "2024-01-08T03:00:00Z", model_name="rain")
    assert again[:2] == first[:2]
    assert (again[2]["fingerprint"], again[2]["seen_before"]) == (first[2]["fingerprint"], True)


def test_a_slot_that_is_caught_up_on_is_no_gap_and_reads_nothing_twice(look: Callable[..., Any]) -> None:
    options = {"model_name": "rain", "catch_up": True}
    _, first, _ = look("scheduled", "2024-01-05T03:00:00Z", **options)
    # The slot of the 6th was missed, and that of the 7th is run before it is caught up on.
    _, third, details = look("scheduled", "2024-01-07T03:00:00Z", **options)
    assert (third["start"], details["gap"]) == (first["end"], None)
    _, second, details = look("scheduled", "2024-01-06T03:00:00Z", **options)
    assert (second["start"], second["end"], details["watermark_before"]) == (first["end"], "2024-01-06T03:00:00Z", first["end"])


def test_the_label_delay_is_taken_off_the_slot_but_not_off_the_returned_end(look: Callable[..., Any]) -> None:
    answer, window, _ = look("scheduled", "2024-01-08T03:00:00Z", label_delay_days=2)
    assert (answer, window["end"]) == ("2024-01-08T03:00:00Z", "2024-01-06T03:00:00Z")


@pytest.mark.parametrize(
    "macro", ["[[ScheduledTime]]", "[[Index]]", "[[anything at all]]", "{{workflow.creationTimestamp}}", "{{$.pipeline_job_schedule_time_utc}}"]
)
@pytest.mark.parametrize("around", ["{}", " {} ", "2024-{}", "scheduled({})"])
def test_a_macro_that_kfp_left_is_named_with_the_way(look: Callable[..., Any], tmp_path: Path, macro: str, around: str) -> None:
    with pytest.raises(IngestionError) as caught:
        look(around.format(macro))
    assert "window_end" in str(caught.value)
    assert f"did not expand {macro}" in str(caught.value)
    assert "Set data_window_end to 'scheduled'" in str(caught.value)
    assert not (tmp_path / "run-0").exists()
    (record,) = read_run(open_store(str(tmp_path / "ledger")), "run-0")
    assert (record.step_name, record.state) == ("ingest_window", "failed")


@pytest.mark.parametrize("window_end", ["scheduled", NIGHTLY])
@pytest.mark.parametrize("macro", ["[[ScheduledTime]]", "{{$.pipeline_job_schedule_time_utc}}"])
def test_a_schedule_time_that_kfp_left_is_named_with_the_way(look: Callable[..., Any], window_end: str, macro: str) -> None:
    with pytest.raises(IngestionError) as caught:
        look(window_end, macro)
    assert "schedule_time" in str(caught.value)
    assert f"did not expand {macro}" in str(caught.value)
    assert "use 'latest' or an ISO time" in str(caught.value)


@pytest.mark.parametrize(
    ("window_end", "schedule_time", "message"),
    [
        ("scheduled", "yesterday", "schedule_time 'yesterday': expected the time at which the run was scheduled"),
        ("scheduled", "20241399000000", "schedule_time '20241399000000'"),
        ("scheduled(0 3 * *)", "none", "cron '0 3 \\* \\*': expected five fields .* found 4"),
        ("scheduled()", "2024-01-08T03:00:00Z", "cron '': expected five fields"),
        ("scheduled(0 24 * * *)", "none", "out of range"),
        ("scheduled(0 3 30 2 *)", "none", "never fires"),
        ("scheduled(@daily)", "none", "expected five fields"),
        ("scheduled 0 3 * * *", "none", "window_end 'scheduled 0 3 \\* \\* \\*': expected 'scheduled', 'latest'"),
        ("sheduled", "none", "window_end 'sheduled': expected 'scheduled', 'latest'"),
        ("", "none", "window_end '': expected 'scheduled', 'latest'"),
        ("decision", "none", "window_end 'decision': the step received no decision"),
    ],
)
def test_what_says_no_time_is_named(look: Callable[..., Any], window_end: str, schedule_time: str, message: str) -> None:
    with pytest.raises(IngestionError, match=message):
        look(window_end, schedule_time)


def test_a_slot_before_whose_end_nothing_happened_says_so_and_names_latest(look: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(IngestionError) as caught:
        look("scheduled", "2026-11-29T03:00:00Z")
    for part in ("window [2026-11-26T03:00:00Z, 2026-11-29T03:00:00Z): contains no rows", "newest event in 'time' is at 2024-01-10T00:00:00Z", "to 'latest'"):
        assert part in str(caught.value)
    assert not (tmp_path / "run-0").exists()


def decision(folder: Path, **content: Any) -> dsl.Artifact:
    (folder / "decision.json").write_text(json.dumps(content))
    return dsl.Artifact(name="decision", uri=str(folder / "decision.json"), metadata={})


def test_the_training_window_ends_where_the_decisions_window_ended(look: Callable[..., Any], tmp_path: Path) -> None:
    decided = decision(tmp_path, decision="retrain", window_end="2024-01-09T00:00:00Z")
    answer, window, _ = look("decision", decision=decided, label_delay_days=1, window_days=5)
    assert (answer, window) == ("2024-01-09T00:00:00Z", {"start": "2024-01-03T00:00:00Z", "end": "2024-01-08T00:00:00Z"})
    decided = decision(tmp_path, decision="retrain", window_end="2024-01-09T00:00:00Z", training_since="2024-01-02T00:00:00Z")
    assert look("decision", decision=decided)[1]["start"] == "2024-01-02T00:00:00Z"
    assert look("decision", decision=decision(tmp_path, decision="retrain", window_end="latest"))[0] == NEWEST
    with pytest.raises(IngestionError, match="received no decision with a window end"):
        look("decision", decision=decision(tmp_path, decision="retrain"))


@pytest.mark.parametrize("word", ["scheduled", NIGHTLY])
def test_who_is_not_told_the_schedules_time_does_not_take_the_word_for_latest(word: str) -> None:
    with pytest.raises(IngestionError, match="only ingest_data and assess_model know when a run was scheduled"):
        parse_window_end(word)


@pytest.mark.parametrize(
    "expression", ["0 3 * * *", "*/7 * * * *", "0 0 31 * *", "0 0 29 2 *", "15 10 3 * * MON", "0 3 1 * 1", "10 4 28-31 */2 ?", "59 59 23 31 12 *"]
)
def test_the_last_slot_is_the_last_one_at_or_before(expression: str) -> None:
    cron = parse_cron(expression, error=IngestionError)
    at = datetime(2024, 2, 29, 23, 59, 59, 7, tzinfo=timezone.utc)
    for _ in range(25):
        slot = cron.last_time(at)
        assert slot <= at < cron.next_times(1, after=slot)[0]
        assert cron.next_times(1, after=slot - timedelta(seconds=1)) == [slot]
        assert cron.last_time(slot) == slot
        assert resolve_window_end(f"scheduled({expression})", schedule_time=at.isoformat()).slot == slot.isoformat().replace("+00:00", "Z")
        at = slot - timedelta(seconds=1)
