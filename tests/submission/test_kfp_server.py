"""The test server itself: it must speak as KFP's description says, or the other tests prove nothing."""

from __future__ import annotations

import inspect
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kfp_server_api as api
import pytest

from evergreen.submission.connection import connect
from evergreen.submission.errors import SubmissionError
from evergreen.submission.server_pipelines import equals, experiment_id, find_pipeline, upload_version
from evergreen.submission.tags import check_tags
from submission.kfp_models import check_fields
from submission.kfp_refusals import RefusedError
from submission.kfp_routes import ROUTES
from submission.kfp_runs import Script
from submission.recordings import recorded, recorded_errors
from support.commands import evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer


def test_every_path_is_one_of_the_generated_client() -> None:
    services = (
        api.HealthzServiceApi,
        api.PipelineServiceApi,
        api.PipelineUploadServiceApi,
        api.ExperimentServiceApi,
        api.RunServiceApi,
        api.RecurringRunServiceApi,
    )
    source = "".join(inspect.getsource(service) for service in services)
    for method, path, _ in ROUTES:
        assert f"'{path}', '{method}'" in source


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("V2beta1Run", {"display_name": "a", "runtime_config": {"parameter": {}}}, "V2beta1RuntimeConfig has no field 'parameter'"),
        ("V2beta1RecurringRun", {"max_concurrency": 1}, "expected str, found 1"),
        ("V2beta1RecurringRun", {"mode": "ON"}, "'ON' is not one of"),
        ("V2beta1PipelineVersion", {"tags": {"commit": 3}}, "expected str, found 3"),
    ],
)
def test_what_the_description_does_not_know_is_refused(kind: str, body: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_fields(body, kind)
    assert message in caught.value.message


def test_it_answers_the_generated_client(kfp: KfpServer) -> None:
    client = api.ApiClient(api.Configuration(host=kfp.host))
    made = api.PipelineServiceApi(client).pipeline_service_create_pipeline(pipeline=api.V2beta1Pipeline(display_name="a"))
    assert [found.pipeline_id for found in api.PipelineServiceApi(client).pipeline_service_list_pipelines().pipelines] == [made.pipeline_id]


def told(kfp: KfpServer, path: str) -> Any:
    """Return what the server answers, or the body of its refusal."""
    try:
        with urllib.request.urlopen(f"{kfp.host}/apis/v2beta1/{path}", timeout=10) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return json.loads(refused.read())


def shape(value: Any) -> Any:
    """Return the kinds of a value's fields: a time as KFP writes it is a kind of its own."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
        return "time"
    return type(value).__name__


def shapes_of_tasks(run: dict[str, Any]) -> set[str]:
    """Return each shape that a task of a run has, with its states."""
    found = set()
    for task in run["run_details"]["task_details"]:
        states = [task.get("state"), [status.get("state") for status in task["state_history"]]]
        fields = sorted((name, str(kind)) for name, kind in shape(task).items() if name not in {"state_history", "child_tasks"})
        children = sorted({str(shape(child)) for child in task.get("child_tasks", [])})
        found.add(json.dumps([states, fields, children]))
    return found


def a_run(kfp: KfpServer, pipeline_file: Path, script: Script) -> dict[str, Any]:
    kfp.script = script
    finished = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--poll-seconds", "0.05", "--service-account", "evergreen-pipeline", "--json")
    run: dict[str, Any] = told(kfp, f"runs/{finished.json['run_id']}")
    return run


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("run_failed", Script(outcome="FAILED")),
        ("run_failed_pod_invalid", Script(outcome="TERMINATED", pod_refused=True)),
        ("run_succeeded_states_frozen", Script(frozen_after=8)),
    ],
)
def test_runs_are_told_as_a_real_server_tells_them(kfp: KfpServer, pipeline_file: Path, name: str, script: Script) -> None:
    run, real = a_run(kfp, pipeline_file, script), recorded(name)
    for entry in (run, real):
        entry["runtime_config"]["parameters"] = {}
    assert {key: kind for key, kind in shape(run).items() if key not in {"run_details", "state_history"}} == {
        key: kind for key, kind in shape(real).items() if key not in {"run_details", "state_history"}
    }
    assert "error" not in run
    assert [status["state"] for status in run["state_history"]] == [status["state"] for status in real["state_history"]]
    assert shapes_of_tasks(run) - shapes_of_tasks(real) == set()
    pods = {child["pod_name"] for entry in (run, real) for task in entry["run_details"]["task_details"] for child in task.get("child_tasks", [])}
    assert all(re.fullmatch(r"[a-z0-9-]+-\d{5,10}", pod) for pod in pods)


def test_a_run_that_goes_on_has_not_ended_yet(kfp: KfpServer, pipeline_file: Path) -> None:
    finished = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--no-follow", "--service-account", "evergreen-pipeline", "--json")
    run, real = told(kfp, f"runs/{finished.json['run_id']}"), recorded("run_running")
    assert run["finished_at"] == real["finished_at"] == "1970-01-01T00:00:00Z"
    ends = {entry["run_id"]: {task["end_time"] for task in entry["run_details"]["task_details"] if task["state"] == "RUNNING"} for entry in (run, real)}
    assert set(map(tuple, ends.values())) == {("0001-01-01T00:00:00Z",)}
    assert run["state"] == real["state"]


def test_lists_are_told_as_a_real_server_tells_them(kfp: KfpServer, pipeline_file: Path) -> None:
    pipeline_file.write_text(pipeline_file.read_text().replace("days: int", "data_window_days: int").replace("        days: A number.\n", ""))
    name = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--no-follow", "--json").json["pipeline"]
    common = ["--cron", "0 3 * * *", "--pipeline", name, "-p", "model_name=rain"]
    assert evergreen("schedule", "create", "a", *common).status == 0
    assert evergreen("schedule", "create", "b", *common, "--track", "pinned", "--paused").status == 0
    for path, field, optional in (
        ("pipelines", "pipelines", {"description"}),
        ("experiments", "experiments", {"description"}),
        ("recurringruns", "recurringRuns", {"runtime_config"}),
    ):
        mine, real = told(kfp, path), recorded(path)
        assert set(mine) == set(real)
        assert {frozenset(entry) - optional for entry in mine[field]} == {frozenset(entry) - optional for entry in real[field]}
        kinds = [{(key, str(kind)) for entry in answer[field] for key, kind in shape(entry).items() if key not in optional} for answer in (mine, real)]
        assert kinds[0] <= kinds[1]


@pytest.mark.parametrize(("path", "status", "body"), recorded_errors())
def test_what_is_not_there_is_told_in_the_recorded_words(kfp: KfpServer, path: str, status: int, body: dict[str, Any]) -> None:
    assert told(kfp, path) == body
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{kfp.host}/apis/v2beta1/{path}", timeout=10)
    assert caught.value.code == status


TAGS = [
    {"a.b": "1"},
    {"": "1"},
    {"x" * 64: "1"},
    {"a": "x" * 64},
    {str(number): "1" for number in range(21)},
]


@pytest.mark.parametrize("tags", TAGS, ids=["dot", "empty", "long name", "long value", "many"])
def test_tags_are_refused_by_the_server_and_before_it_by_us(kfp: KfpServer, tmp_path: Path, tags: dict[str, str]) -> None:
    (tmp_path / "p.yaml").write_text("a: 1\n")
    with pytest.raises(SubmissionError, match=r"(?i)tag"):
        check_tags(tags)
    # The words of an upload's refusal stand in other fields than those of the rest of the API.
    with pytest.raises(SubmissionError, match=r"the server responded with 400: (tag (key|value) |number of tags)"):
        upload_version(connect(kfp.host), tmp_path / "p.yaml", pipeline_name="p", name="1", tags=tags)
    assert kfp.versions == {}


def test_the_most_that_tags_may_be_is_taken(kfp: KfpServer, tmp_path: Path) -> None:
    tags = {f"{'x' * 61}{number:02d}": "y" * 63 for number in range(20)}
    (tmp_path / "p.yaml").write_text("a: 1\n")
    check_tags(tags)
    assert upload_version(connect(kfp.host), tmp_path / "p.yaml", pipeline_name="p", name="1", tags=tags).uploaded


@pytest.mark.parametrize("name", ["a+b", "100%", "a%2Bb", "a b", "%", "+", "ä+ö%", 'say "a+b"', "a%20b", "rain & snow = x"])
def test_names_with_any_sign_are_found_again(kfp: KfpServer, name: str) -> None:
    connection = connect(kfp.host)
    made = experiment_id(connection, name)
    assert experiment_id(connection, name) == made
    kfp.pipelines["1"] = api.V2beta1Pipeline(pipeline_id="1", display_name=name)
    assert find_pipeline(connection, name) == "1"
    assert find_pipeline(connection, f"{name}x") is None


def test_a_filter_as_it_was_would_not_find_them(kfp: KfpServer) -> None:
    connection = connect(kfp.host)
    experiment_id(connection, "a+b")
    plainly = json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": "a+b"}]})
    listed = connection.experiments.experiment_service_list_experiments
    assert listed(filter=plainly).experiments is None  # a real server leaves out what is empty
    assert len(listed(filter=equals("display_name", "a+b")).experiments) == 1


def test_a_log_is_served_under_v1alpha1_only(kfp: KfpServer, pipeline_file: Path) -> None:
    run = a_run(kfp, pipeline_file, Script(outcome="FAILED", log="ValueError: x"))
    pod = kfp.workflows[run["run_id"]].failing_pod
    connection = connect(kfp.host)
    assert connection.read_text("/apis/v1alpha1/runs/{r}/nodes/{n}/log", {"r": run["run_id"], "n": pod}, purpose="x") == "ValueError: x"
    with pytest.raises(SubmissionError, match=r"responded with 500: Failed to read run log"):
        connection.read_text("/apis/v1alpha1/runs/{r}/nodes/{n}/log", {"r": run["run_id"], "n": "another"}, purpose="x")
    with pytest.raises(SubmissionError, match="responded with 404"):
        connection.read_text("/apis/v2beta1/runs/{r}/nodes/{n}/log", {"r": run["run_id"], "n": pod}, purpose="x")
