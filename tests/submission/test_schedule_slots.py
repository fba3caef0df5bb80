"""Which window the runs of a schedule look at, and which slots were missed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import kfp_server_api as api
import pytest

from evergreen.submission.connection import connect
from evergreen.submission.missed_slots import missed_slot
from evergreen.submission.schedules import schedules
from support.commands import Finished, evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer

DAILY = "0 3 * * *"


@pytest.fixture
def pipeline(kfp: KfpServer, pipeline_file: Path) -> str:
    """A pipeline whose window ends as the schedule says."""
    text = pipeline_file.read_text().replace("days: int = 30", 'days: int = 30, data_window_end: str = "scheduled"')
    pipeline_file.write_text(text)
    finished = evergreen("submit", str(pipeline_file), "--upload-only", "--host", kfp.host, "--json")
    return str(finished.json["pipeline"])


def schedule(verb: str, pipeline: str, *more: str, cron: str = DAILY) -> Finished:
    return evergreen("schedule", verb, "nightly", "--cron", cron, "--pipeline", pipeline, "-p", "model_name=rain", *more)


def window_end(kfp: KfpServer) -> str | None:
    (made,) = kfp.schedules.values()
    found: str | None = made.runtime_config.parameters.get("data_window_end")
    return found


@pytest.mark.parametrize(
    ("arguments", "held"),
    [
        ([], "scheduled(0 0 3 * * *)"),
        (["-p", "data_window_end=scheduled"], "scheduled(0 0 3 * * *)"),
        (["-p", "data_window_end= Scheduled "], "scheduled(0 0 3 * * *)"),
        (["-p", "data_window_end=scheduled(0 0 * * *)"], "scheduled(0 0 0 * * *)"),
        (["-p", "data_window_end=latest"], "latest"),
        (["-p", "data_window_end=1954-01-01"], "1954-01-01"),
        (["--track", "pinned"], None),
        (["--track", "pinned", "-p", "data_window_end=scheduled"], "scheduled"),
        (["--track", "pinned", "-p", "data_window_end=latest"], "latest"),
    ],
)
def test_runs_under_latest_are_told_the_cron_expression(kfp: KfpServer, pipeline: str, arguments: list[str], held: str | None) -> None:
    finished = schedule("create", pipeline, *arguments)
    assert finished.status == 0, finished.stderr
    assert window_end(kfp) == held
    assert ("data_window_end: scheduled(" in finished.stdout) is bool(held and held.startswith("scheduled("))


def test_a_window_end_that_the_pipelines_author_fixed_stays(kfp: KfpServer, pipeline_file: Path) -> None:
    pipeline_file.write_text(pipeline_file.read_text().replace("days: int = 30", 'days: int = 30, data_window_end: str = "latest"'))
    name = evergreen("submit", str(pipeline_file), "--upload-only", "--host", kfp.host, "--json").json["pipeline"]
    assert schedule("create", name).status == 0
    assert window_end(kfp) is None


def test_a_replacement_shows_the_new_slot(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline)
    assert "Nothing changes." in schedule("replace", pipeline).stdout
    finished = schedule("replace", pipeline, "--yes", cron="0 5 * * *")
    assert "- parameters.data_window_end: scheduled(0 0 3 * * *)" in finished.stdout
    assert "+ parameters.data_window_end: scheduled(0 0 5 * * *)" in finished.stdout
    assert window_end(kfp) == "scheduled(0 0 5 * * *)"
    assert "- parameters.data_window_end: scheduled(0 0 5 * * *)" in schedule("replace", pipeline, "--yes", "--track", "pinned").stdout
    assert window_end(kfp) is None


@pytest.mark.parametrize("verb", ["create", "replace"])
def test_catching_up_under_latest_is_refused_with_reason_and_way(kfp: KfpServer, pipeline: str, verb: str) -> None:
    kfp.requests.clear()
    refused = schedule(verb, pipeline, "--catch-up")
    assert (refused.status, kfp.requests, kfp.schedules) == (2, [], {})
    assert "not the slot they catch up on" in refused.stderr
    assert "Pass --track pinned, or omit --catch-up." in refused.stderr
    assert schedule("create", pipeline, "--catch-up", "--track", "pinned").status == 0


def test_a_macro_that_expands_under_latest_is_refused_under_pinned(kfp: KfpServer, pipeline: str) -> None:
    refused = schedule("create", pipeline, "--track", "pinned", "-p", "data_window_end=[[CurrentTime]]")
    assert (refused.status, kfp.schedules) == (2, {})
    assert "--track latest" in refused.stderr
    assert schedule("create", pipeline, "-p", "data_window_end=[[CurrentTime]]").status == 0
    assert window_end(kfp) == "[[CurrentTime]]"


@pytest.mark.parametrize(
    ("version", "arguments", "warned"),
    [
        ("2.16.1", [], True),
        ("2.5.0", [], True),
        ("2.17.0", [], False),
        ("2.18.0-rc.1", [], False),
        ("unknown", [], False),
        ("2.16.1", ["--track", "pinned"], False),
    ],
)
def test_an_old_server_is_warned_of(kfp: KfpServer, pipeline: str, version: str, arguments: list[str], *, warned: bool) -> None:
    kfp.version = version
    finished = schedule("create", pipeline, *arguments)
    assert finished.status == 0
    assert ("before 2.17.0" in finished.stdout) is warned


def test_the_help_names_the_oldest_version() -> None:
    assert "2.17.0" in " ".join(evergreen("schedule", "create", "--help").stdout.split())


def test_resuming_says_before_it_that_a_missed_slot_is_run_at_once(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline, "--paused")
    (made,) = kfp.schedules.values()
    made.created_at = datetime.now(timezone.utc) - timedelta(days=3)
    finished = evergreen("schedule", "resume", "nightly")
    first, second = finished.stdout.splitlines()
    assert "missed its slot at" in first
    assert "KFP starts that run immediately" in first
    assert "fires next at" in second
    assert made.status == "ENABLED"
    # It goes on: nothing is missed by resuming it once more.
    assert "missed" not in evergreen("schedule", "resume", "nightly").stdout


def test_resuming_says_nothing_when_no_slot_was_missed(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline, "--paused", cron="0 3 1 1 *")
    (made,) = kfp.schedules.values()
    made.created_at = datetime.now(timezone.utc)
    assert "missed" not in evergreen("schedule", "resume", "nightly").stdout


def test_a_schedule_that_catches_up_says_so_before(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline, "--paused", "--track", "pinned", "--catch-up")
    (made,) = kfp.schedules.values()
    made.created_at = datetime.now(timezone.utc) - timedelta(days=3)
    assert "now runs each of them first" in evergreen("schedule", "resume", "nightly").stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("now", "fired", "missed"),
    [
        ("2026-03-01T02:59:00", None, None),
        ("2026-03-01T03:01:00", None, "2026-03-01T03:00:00"),
        ("2026-03-05T12:00:00", None, "2026-03-05T03:00:00"),
        ("2026-03-05T12:00:00", "2026-03-04T03:00:00", "2026-03-05T03:00:00"),
        ("2026-03-05T12:00:00", "2026-03-05T03:00:00", None),
        # Under latest, KFP calls a run's creation its slot.
        ("2026-03-05T12:00:00", "2026-03-05T03:00:12", None),
    ],
)
def test_the_last_missed_slot_is_one_after_the_last_run(kfp: KfpServer, pipeline: str, now: str, fired: str | None, missed: str | None) -> None:
    schedule("create", pipeline, "--paused")
    ((schedule_id, made),) = kfp.schedules.items()
    made.created_at = datetime(2026, 2, 28, 12, tzinfo=timezone.utc)
    if fired:
        at = datetime.fromisoformat(fired).replace(tzinfo=timezone.utc)
        kfp.runs["1"] = api.V2beta1Run(run_id="1", recurring_run_id=schedule_id, state="SUCCEEDED", created_at=at, scheduled_at=at)
    connection = connect(kfp.host)
    (found,) = schedules(connection)
    slot = missed_slot(connection, found, now=datetime.fromisoformat(now).replace(tzinfo=timezone.utc))
    assert (slot.strftime("%Y-%m-%dT%H:%M:%S") if slot else None) == missed


def test_bringing_back_an_older_schedule_says_what_it_runs_at_once(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline)
    ((old, made),) = kfp.schedules.items()
    made.created_at = datetime.now(timezone.utc) - timedelta(days=3)
    kfp.runs["1"] = api.V2beta1Run(run_id="1", recurring_run_id=old, state="RUNNING", created_at=made.created_at)
    schedule("replace", pipeline, "--yes", cron="0 5 * * *")
    assert len(kfp.schedules) == 2
    finished = schedule("replace", pipeline, "--yes")
    assert "KFP starts that run immediately" in finished.stdout
    assert list(kfp.schedules) == [old]


def test_experiments_are_the_models(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline)
    assert [experiment.display_name for experiment in kfp.experiments.values()] == ["rain"]
    assert "experiment_id" in schedule("replace", pipeline, "--experiment", "team", "--yes").stdout
    assert [experiment.display_name for experiment in kfp.experiments.values()] == ["rain", "team"]


def test_a_name_that_differs_in_case_only_is_another_schedule(kfp: KfpServer, pipeline: str) -> None:
    schedule("create", pipeline)
    refused = evergreen("schedule", "delete", "NIGHTLY", "--yes")
    assert refused.status == 2
    assert "Unknown schedule 'NIGHTLY'." in refused.stderr
    assert "nightly" in refused.stderr
    assert len(kfp.schedules) == 1


@pytest.mark.parametrize("columns", [80, 60, 120])
def test_the_list_reads_well_in_a_terminal(kfp: KfpServer, pipeline: str, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for name, cron, more in (
        ("nightly", DAILY, []),
        ("workdays", "30 6 1,15 * MON-FRI", ["--track", "pinned", "--max-concurrency", "3"]),
        ("a-name-that-is-longer-than-it-need-be-in-a-list", "*/20 8-17 * * *", ["--paused"]),
    ):
        assert evergreen("schedule", "create", name, "--cron", cron, "--pipeline", pipeline, "-p", "model_name=rain", *more).status == 0
    (version,) = kfp.versions
    shown = evergreen("schedule", "list").stdout
    lines = shown.splitlines()
    assert lines[0] == "NEXT (UTC)        SCHEDULE"
    assert [line[:18].strip() for line in lines if line.endswith("  nightly")] == [f"{_next(3):%Y-%m-%d %H:%M}"]
    assert "paused            a-name-that-is-longer-than-it-need-be-in-a-list" in lines
    assert all(len(line) <= columns for line in lines if not line.endswith("in-a-list"))
    text = " ".join(shown.split())
    assert f"version {version}; 3 runs at a time; no catch-up" in text
    assert "At 03:00; latest version; 1 run at a time; no catch-up" in text
    if columns == 80:
        assert "                  At 03:00; latest version; 1 run at a time; no catch-up" in lines
    assert "…" not in shown


def _next(hour: int) -> datetime:
    now = datetime.now(timezone.utc)
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)
