from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import kfp_server_api as api
import pytest

from support.commands import Finished, evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer


def uploaded(pipeline_file: Path, host: str) -> str:
    """Upload the pipeline and return its name."""
    finished = evergreen("submit", str(pipeline_file), "--upload-only", "--host", host, "--json")
    assert finished.status == 0, finished.stderr
    return str(finished.json["pipeline"])


@pytest.fixture
def pipeline(kfp: KfpServer, pipeline_file: Path) -> str:
    return uploaded(pipeline_file, kfp.host)


def create(pipeline: str, *more: str, cron: str = "0 3 * * *", name: str = "nightly") -> Finished:
    return evergreen("schedule", "create", name, "--cron", cron, "--pipeline", pipeline, "-p", "model_name=rain", *more)


def replace(pipeline: str, *more: str, cron: str = "0 3 * * *") -> Finished:
    return evergreen("schedule", "replace", "nightly", "--cron", cron, "--pipeline", pipeline, "-p", "model_name=rain", *more)


def add_run(kfp: KfpServer, schedule_id: str, state: str) -> api.V2beta1Run:
    run = api.V2beta1Run(run_id=f"run-{len(kfp.runs)}", recurring_run_id=schedule_id, state=state, created_at=kfp.now())
    return kfp.runs.setdefault(run.run_id, run)


def test_creating_says_back_what_it_means_and_when_it_fires(kfp: KfpServer, pipeline: str) -> None:
    finished = create(pipeline)
    assert finished.status == 0, finished.stderr
    (schedule,) = kfp.schedules.values()
    assert schedule.trigger.cron_schedule.cron == "0 0 3 * * *"
    assert (schedule.no_catchup, schedule.max_concurrency, schedule.status) == (True, "1", "ENABLED")
    # The latest version at each start: no version is named.
    assert schedule.pipeline_version_reference.pipeline_version_id is None
    assert schedule.runtime_config.parameters == {"model_name": "rain"}
    assert "At 03:00 (UTC)" in finished.stdout
    assert len(re.findall(r"^  \w{3} \d{4}-\d\d-\d\d 03:00:00 UTC$", finished.stdout, re.MULTILINE)) == 5


def test_a_pinned_schedule_names_one_version(kfp: KfpServer, pipeline: str) -> None:
    assert create(pipeline, "--track", "pinned").status == 0
    (schedule,), (version,) = kfp.schedules.values(), kfp.versions.values()
    assert schedule.pipeline_version_reference.pipeline_version_id == version.pipeline_version_id


def test_listing_shows_words_and_the_next_time(pipeline: str) -> None:
    assert "has no schedules" in evergreen("schedule", "list").stdout
    create(pipeline)
    create(pipeline, "--paused", name="held")
    shown = evergreen("schedule", "list", "--json").json
    assert {schedule["name"]: schedule["enabled"] for schedule in shown} == {"nightly": True, "held": False}
    assert {schedule["name"]: schedule["next"][-9:] for schedule in shown} == {"nightly": "03:00:00Z", "held": "paused"}
    assert "At 03:00" in " ".join(evergreen("schedule", "list").stdout.split())


def test_a_list_of_many_pages_is_read_to_its_end(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    (schedule,) = kfp.schedules.values()
    for number in range(250):
        kfp.schedules[str(number)] = api.V2beta1RecurringRun(**{**schedule.to_dict(), "recurring_run_id": str(number), "display_name": f"other {number}"})
    assert len(evergreen("schedule", "list", "--json").json) == 251


def test_pausing_and_resuming(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    (schedule,) = kfp.schedules.values()
    assert "is paused" in evergreen("schedule", "pause", "nightly").stdout
    assert schedule.status == "DISABLED"
    assert "fires next at" in evergreen("schedule", "resume", "nightly").stdout
    assert schedule.status == "ENABLED"


def test_replacing_shows_the_difference_and_deletes_the_old_one_when_it_is_idle(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    (old,) = kfp.schedules
    add_run(kfp, old, "SUCCEEDED")
    finished = replace(pipeline, "-p", "days=7", "--yes", cron="0 5 * * *")
    assert finished.status == 0, finished.stderr
    assert "- cron: 0 0 3 * * * (At 03:00 (UTC))" in finished.stdout
    assert "+ cron: 0 0 5 * * * (At 05:00 (UTC))" in finished.stdout
    assert "+ parameters.days: 7" in finished.stdout
    assert "service_account" not in finished.stdout
    (schedule,) = kfp.schedules.values()
    assert schedule.recurring_run_id != old
    assert schedule.trigger.cron_schedule.cron == "0 0 5 * * *"
    # The new one is there before the old one goes: killed in between, the model is still watched.
    changes = [path.rsplit("/", 1)[1] for method, path in kfp.requests if "recurringruns" in path and method != "GET"]
    assert changes == ["recurringruns", "recurringruns", f"{old}:disable", old]


def test_replacing_while_a_run_goes_on_pauses_the_old_one_and_ends_the_work_later(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    (old,) = kfp.schedules
    run = add_run(kfp, old, "RUNNING")
    finished = replace(pipeline, "--yes", cron="0 5 * * *")
    assert "is paused because runs are still active. Rerun this command when they finish" in finished.stdout
    assert kfp.schedules[old].status == "DISABLED"
    assert len(kfp.schedules) == 2
    assert "(superseded)" in " ".join(evergreen("schedule", "list").stdout.split())
    run.state = "SUCCEEDED"
    again = replace(pipeline, "--yes", "--json", cron="0 5 * * *")
    assert again.json["deleted"] == [old]
    assert old not in kfp.schedules
    assert "Nothing changes" in again.stderr


def test_replacing_with_the_same_changes_nothing(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    before = set(kfp.schedules)
    finished = replace(pipeline)
    assert finished.status == 0, finished.stderr
    assert "Nothing changes." in finished.stdout
    assert set(kfp.schedules) == before


def test_a_paused_schedule_stays_paused_when_it_is_replaced(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline, "--paused")
    assert replace(pipeline, "--yes", cron="0 5 * * *").status == 0
    assert [schedule.status for schedule in kfp.schedules.values()] == ["DISABLED"]


def test_replacing_makes_one_only_where_it_is_told_to(kfp: KfpServer, pipeline: str) -> None:
    refused = replace(pipeline)
    assert (refused.status, kfp.schedules) == (2, {})
    assert "Unknown schedule 'nightly'. Schedules in Kubeflow Pipelines at" in refused.stderr
    assert replace(pipeline, "--or-create").status == 0
    assert len(kfp.schedules) == 1


def test_nobody_is_asked_where_nobody_sits(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    (old,) = kfp.schedules
    finished = replace(pipeline, cron="0 5 * * *")
    assert finished.status == 2
    assert "Pass --yes" in finished.stderr
    assert list(kfp.schedules) == [old]


def test_deleting_waits_for_runs(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    (schedule_id,) = kfp.schedules
    run = add_run(kfp, schedule_id, "RUNNING")
    assert evergreen("schedule", "delete", "nightly", "--yes").status == 1
    assert kfp.schedules[schedule_id].status == "DISABLED"
    run.state = "FAILED"
    assert evergreen("schedule", "delete", "nightly", "--yes").status == 0
    assert kfp.schedules == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "0 3 * * 7"], "counts from 0"),
        (["--cron", "0 3 * * *", "--track", "newest"], "Unknown --track 'newest'. Valid values: latest, pinned"),
        (["--cron", "0 3 * * *", "--version-name", "1"], "Pass --track pinned"),
        (["--cron", "0 3 * * *", "--track", "pinned", "--version-name", "absent"], "Unknown version 'absent'."),
        (["--cron", "0 3 * * *", "--pipeline", "absent"], "Unknown pipeline 'absent' in"),
        (["--cron", "0 3 * * *", "-p", "dais=3"], "Did you mean 'days'"),
        (["--cron", "0 3 * * *"], "parameter 'model_name'"),
    ],
)
def test_bad_input_makes_no_schedule(kfp: KfpServer, pipeline: str, arguments: list[str], message: str) -> None:
    finished = evergreen("schedule", "create", "nightly", "--pipeline", pipeline, *arguments)
    assert finished.status == 2
    assert message in finished.stderr
    assert kfp.schedules == {}


def test_a_second_schedule_of_the_same_name_is_refused(kfp: KfpServer, pipeline: str) -> None:
    create(pipeline)
    refused = create(pipeline)
    assert (refused.status, len(kfp.schedules)) == (2, 1)
    assert "evergreen schedule replace nightly" in refused.stderr


@pytest.mark.kfp
def test_a_schedule_lives_from_creation_to_deletion(kfp_host: str, pipeline_file: Path) -> None:
    pipeline, name = uploaded(pipeline_file, kfp_host), pipeline_file.parent.name
    common = ("--host", kfp_host)
    asked = ("--pipeline", pipeline, "-p", "model_name=rain", *common, "--json")
    made = evergreen("schedule", "create", name, "--cron", "0 3 1 1 *", *asked, "--paused")
    assert made.status == 0, made.stderr
    assert (made.json["cron"], made.json["track"], made.json["max_concurrency"], made.json["catch_up"]) == ("0 0 3 1 1 *", "latest", 1, False)
    assert "Nothing changes" in evergreen("schedule", "replace", name, "--cron", "0 3 1 1 *", *asked).stderr
    replaced = evergreen("schedule", "replace", name, "--cron", "0 5 1 1 *", "--yes", *asked)
    assert replaced.json["deleted"] == [made.json["schedule_id"]]
    assert evergreen("schedule", "resume", name, *common).status == 0
    assert evergreen("schedule", "pause", name, *common).status == 0
    assert evergreen("schedule", "delete", name, "--yes", *common).status == 0
    assert name not in {schedule["name"] for schedule in evergreen("schedule", "list", *common, "--json").json}
