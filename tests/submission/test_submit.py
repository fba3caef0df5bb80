from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from evergreen.pipeline.compilation import compile_pipeline
from evergreen.submission.connection import connect
from evergreen.submission.runs import step_names, step_states
from support.commands import evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer

FAST = ("-p", "model_name=rain", "--poll-seconds", "0.05")


def test_submitting_uploads_a_version_starts_a_run_and_shows_its_steps(kfp: KfpServer, pipeline_file: Path) -> None:
    finished = evergreen(
        "submit", str(pipeline_file), *FAST, "-p", "days=7", "--tag", "commit=4f2c", "--run-name", "first", "--service-account", "evergreen-pipeline"
    )
    assert finished.status == 0, finished.stderr
    (version,), (run,) = kfp.versions.values(), kfp.runs.values()
    assert version.tags == {"commit": "4f2c"}
    assert run.display_name == "first"
    assert run.service_account == "evergreen-pipeline"
    assert run.pipeline_version_reference.pipeline_version_id == version.pipeline_version_id
    # KFP refuses a number that comes as text.
    assert run.runtime_config.parameters == {"model_name": "rain", "days": 7}
    assert f"{kfp.host}/#/runs/details/{run.run_id}" in finished.stdout
    lines = [line.split() for line in finished.stdout.splitlines() if "Load champion" in line]
    assert [line[3] for line in lines] == ["running", "succeeded"]
    assert not any(word in finished.stdout for word in ("driver", "executor", "root"))


def test_submitting_the_same_again_uploads_nothing_and_says_so(kfp: KfpServer, pipeline_file: Path) -> None:
    first = evergreen("submit", str(pipeline_file), *FAST, "--json")
    again = evergreen("submit", str(pipeline_file), *FAST, "--json")
    assert (first.json["uploaded"], again.json["uploaded"]) == (True, False)
    assert first.json["version_id"] == again.json["version_id"]
    assert (len(kfp.versions), len(kfp.runs), len(kfp.experiments)) == (1, 2, 1)
    assert "Already uploaded" in again.stderr


def test_a_changed_pipeline_is_a_new_version_of_the_same_pipeline(kfp: KfpServer, pipeline_file: Path) -> None:
    assert evergreen("submit", str(pipeline_file), "--upload-only").status == 0
    pipeline_file.write_text(pipeline_file.read_text().replace("Load champion", "Load the champion"))
    assert evergreen("submit", str(pipeline_file), "--upload-only").status == 0
    assert (len(kfp.pipelines), len(kfp.versions), len(kfp.runs)) == (1, 2, 0)


def test_a_server_that_restarts_while_a_run_is_followed_is_asked_again(kfp: KfpServer, pipeline_file: Path) -> None:
    kfp.failures = {"/apis/v2beta1/runs/": 2}
    assert evergreen("submit", str(pipeline_file), *FAST).status == 0


def test_without_following_it_returns_at_once(kfp: KfpServer, pipeline_file: Path) -> None:
    finished = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--no-follow", "--json")
    assert finished.status == 0
    assert "state" not in finished.json
    assert finished.json["run_id"] in kfp.runs


def test_a_compiled_file_can_be_submitted_and_takes_no_options_of_compiling(kfp: KfpServer, pipeline_file: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled.yaml"
    compile_pipeline(pipeline_file, compiled)
    assert evergreen("submit", str(compiled), *FAST).status == 0
    refused = evergreen("submit", str(compiled), *FAST, "--image-registry", "registry.example/team")
    assert (refused.status, len(kfp.runs)) == (2, 1)
    assert "already compiled" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "model=rain"], "Did you mean 'model_name'"),
        ([], "parameter 'model_name' of pipeline"),
        (["-p", "model_name=rain", "-p", "days=soon"], "'days' is 'soon': expected a whole number"),
        (["-p", "model_name=rain", "--tag", "new"], "tag 'new': expected name=value"),
        (["-p", "model_name=rain", "--tag", "a.b=1"], "Invalid tag 'a.b': KFP does not allow dots in tag names. Use a-b=1"),
        (["-p", "model_name=rain", "--tag", f"{'x' * 64}=1"], "its name has 64 characters; KFP allows at most 63"),
        (["-p", "model_name=rain", "--tag", f"a={'x' * 64}"], "Tag 'a': its value has 64 characters; KFP allows at most 63"),
        (["-p", "model_name=rain", "--tag", "=1"], "Tag '=1' has no name"),
        (["-p", "model_name=rain", *(part for number in range(21) for part in ("--tag", f"a{number}=1"))], "Too many tags (21): KFP allows at most 20"),
        (["-p", "model_name=rain", "--host", "kubeflow.example"], "Invalid host 'kubeflow.example': expected an address"),
    ],
)
def test_bad_input_has_exit_status_2_and_leaves_the_server_alone(kfp: KfpServer, pipeline_file: Path, arguments: list[str], message: str) -> None:
    finished = evergreen("submit", str(pipeline_file), *arguments)
    assert finished.status == 2
    assert message in finished.stderr
    assert kfp.requests == []


def test_a_token_is_sent_and_a_missing_one_is_explained(kfp: KfpServer, pipeline_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kfp.token = "c4n4ry"
    refused = evergreen("submit", str(pipeline_file), *FAST)
    assert refused.status == 2
    assert "access denied (401). Set a token in EVERGREEN_KFP_TOKEN" in refused.stderr
    monkeypatch.setenv("EVERGREEN_KFP_TOKEN", "c4n4ry")
    finished = evergreen("submit", str(pipeline_file), *FAST)
    assert finished.status == 0
    assert "c4n4ry" not in finished.stdout + finished.stderr


def test_a_server_that_is_not_there_is_named(pipeline_file: Path) -> None:
    finished = evergreen("submit", str(pipeline_file), *FAST, "--host", "http://127.0.0.1:9")
    assert finished.status == 2
    (line,) = finished.stderr.splitlines()
    assert "http://127.0.0.1:9: connecting: cannot reach the server" in line


def test_steps_of_the_real_pipeline_have_the_names_of_its_graph(repository: Path) -> None:
    names = step_names(next(yaml.safe_load_all((repository / "pipelines" / "continuous_retraining.yaml").read_text())))
    assert len(names) == 13
    assert names["ingest-data"] == "Ingest window"
    assert names["ingest-data-2"] == "Ingest training data"


@pytest.mark.kfp
def test_a_run_can_be_submitted_and_looked_at(kfp_host: str, pipeline_file: Path) -> None:
    finished = evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--host", kfp_host, "--no-follow", "--json")
    assert finished.status == 0, finished.stderr
    run_id = json.loads(finished.stdout)["run_id"]
    run = connect(kfp_host).runs.run_service_get_run(run_id=run_id)
    assert run.runtime_config.parameters["model_name"] == "rain"
    assert all(step.name == "Load champion" for step in step_states(run, {"load-champion": "Load champion"}))
