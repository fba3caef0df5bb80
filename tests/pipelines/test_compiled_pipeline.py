from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evergreen.compilation import KubernetesObjects, compile_pipeline
from evergreen.images import BASE_IMAGE, DRIFT_IMAGE
from evergreen.pipeline_file import PipelineFileError

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "pipelines" / "continuous_retraining.py"
DIGEST = "sha256:" + "a1" * 32


def tasks_of(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    dags = [spec["root"]["dag"], *(component["dag"] for component in spec["components"].values() if "dag" in component)]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(PIPELINE, output)
    return list(yaml.safe_load_all(output.read_text()))


def test_generated_files_are_not_stale(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "generate.py"), "--check", str(tmp_path)], check=True, capture_output=True)
    generated = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert generated
    stale = [str(path) for path in generated if not (ROOT / path).exists() or (ROOT / path).read_text() != (tmp_path / path).read_text()]
    assert stale == [], "run `make generate` and commit what it writes"


def test_kfp_compiles_the_file_by_itself(tmp_path: Path) -> None:
    output = tmp_path / "pipeline.yaml"
    command = [str(Path(sys.executable).parent / "kfp"), "dsl", "compile", "--py", str(PIPELINE), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert yaml.safe_load_all(output.read_text())


def test_no_step_is_cached(compiled: list[dict[str, Any]]) -> None:
    steps = [task for task in tasks_of(compiled[0]).values() if not task["componentRef"]["name"].startswith(("comp-condition", "comp-exit-handler"))]
    assert len(steps) == 15
    assert [task["taskInfo"]["name"] for task in steps if task["cachingOptions"].get("enableCache")] == []


def test_every_step_has_requests_retries_a_timeout_and_a_readable_name(compiled: list[dict[str, Any]]) -> None:
    spec, platform = compiled
    executors = spec["deploymentSpec"]["executors"]
    for name, executor in executors.items():
        assert executor["container"]["resources"]["resourceCpuRequest"], name
        assert executor["container"]["resources"]["resourceMemoryRequest"], name
        assert executor["container"]["resources"]["resourceMemoryLimit"], name
        assert platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][name]["securityContext"]["runAsNonRoot"] is True, name
        assert "secretAsEnv" not in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][name], name
        assert platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][name]["activeDeadlineSeconds"], name
    for name, task in tasks_of(spec).items():
        if task["componentRef"]["name"].startswith(("comp-condition", "comp-exit-handler")):
            continue
        assert task["retryPolicy"]["maxRetryCount"] == 2, name
        # Argo counts this bound from the first attempt's start and kills what runs when it is reached.
        timeout = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{name}"]["activeDeadlineSeconds"]
        assert int(task["retryPolicy"]["backoffMaxDuration"].removesuffix("s")) >= 3 * int(timeout), name
        assert task["taskInfo"]["name"][0].isupper(), name


def test_the_pipelines_description_explains_every_parameter(compiled: list[dict[str, Any]]) -> None:
    description = compiled[0]["pipelineInfo"]["description"]
    for name, parameter in compiled[0]["root"]["inputDefinitions"]["parameters"].items():
        assert parameter["description"]
        assert f"- {name} (" in description


def test_the_lean_pipeline_is_the_same_but_for_the_step_that_watches(compiled: list[dict[str, Any]], tmp_path: Path) -> None:
    compile_pipeline(ROOT / "pipelines" / "lean_retraining.py", tmp_path / "lean.yaml")
    lean = next(yaml.safe_load_all((tmp_path / "lean.yaml").read_text().replace("watch-model", "decide-retraining")))
    whole = compiled[0]
    assert lean["root"]["inputDefinitions"] == whole["root"]["inputDefinitions"]
    tasks, lean_tasks = tasks_of(whole), tasks_of(lean)
    assert set(tasks) - set(lean_tasks) == {"detect-drift", "monitor-performance"}
    for name in set(lean_tasks) - {"decide-retraining", "record-run", "exit-handler-1"}:
        # They are sorted by name, and the step that decides has another one.
        for task in (lean_tasks[name], tasks[name]):
            task.get("dependentTasks", []).sort()
        assert lean_tasks[name] == tasks[name], name


def test_nothing_is_installed_at_run_time(compiled: list[dict[str, Any]]) -> None:
    for executor in compiled[0]["deploymentSpec"]["executors"].values():
        assert not re.search(r"pip install", " ".join(executor["container"]["command"]))


def test_only_the_drift_step_uses_the_image_with_alibi_detect(compiled: list[dict[str, Any]]) -> None:
    images = {name: executor["container"]["image"] for name, executor in compiled[0]["deploymentSpec"]["executors"].items()}
    assert {name for name, image in images.items() if image == DRIFT_IMAGE} == {"exec-detect-drift"}
    assert set(images.values()) == {BASE_IMAGE, DRIFT_IMAGE}


def test_images_can_be_moved_and_pinned_when_compiling(tmp_path: Path) -> None:
    digests = tmp_path / "digests.json"
    digests.write_text(json.dumps({"evergreen-drift": DIGEST}))
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(PIPELINE, output, image_registry="registry.example/team", digests=digests)
    executors = next(yaml.safe_load_all(output.read_text()))["deploymentSpec"]["executors"]
    version = BASE_IMAGE.rpartition(":")[2]
    assert {executor["container"]["image"] for executor in executors.values()} == {
        f"registry.example/team/evergreen-base:{version}",
        f"registry.example/team/evergreen-drift:{version}@{DIGEST}",
    }
    for executor in executors.values():
        assert {"name": "EVERGREEN_IMAGE", "value": executor["container"]["image"]} in executor["container"]["env"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"other": "sha256:00"}', "'other': expected one of evergreen-base, evergreen-drift, evergreen-trigger"),
        ('{"evergreen-base": "latest"}', "is 'latest': expected sha256:"),
        ("[]", "expected a JSON object"),
    ],
)
def test_wrong_digests_are_refused(tmp_path: Path, content: str, message: str) -> None:
    digests = tmp_path / "digests.json"
    digests.write_text(content)
    with pytest.raises(PipelineFileError, match=message):
        compile_pipeline(PIPELINE, tmp_path / "pipeline.yaml", digests=digests)


def test_an_output_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineFileError, match=r"pipeline\.json: expected a name that ends in \.yaml"):
        compile_pipeline(PIPELINE, tmp_path / "pipeline.json")
    assert list(tmp_path.iterdir()) == []


def test_compiling_counts_the_pods_of_a_quiet_and_of_a_retraining_day(tmp_path: Path) -> None:
    pods = compile_pipeline(PIPELINE, tmp_path / "pipeline.yaml").pods
    # 8 steps x 2, and drivers of: the pipeline, the exit handler, the decision, its two branches.
    assert (pods.fewest_steps, pods.fewest) == (8, 8 * 2 + 5)
    # 13 steps x 2, and drivers of the same and of: the evaluation's condition, its two branches.
    assert (pods.most_steps, pods.most) == (13, 13 * 2 + 8)


def test_kubernetes_objects_hold_the_same_pipeline(tmp_path: Path, compiled: list[dict[str, Any]]) -> None:
    output = tmp_path / "objects.yaml"
    compile_pipeline(PIPELINE, output, objects=KubernetesObjects("ml"), image_registry="registry.example/team")
    pipeline, version = yaml.safe_load_all(output.read_text())
    assert (pipeline["kind"], pipeline["metadata"]) == ("Pipeline", {"name": "continuous-retraining", "namespace": "ml"})
    assert (version["apiVersion"], version["kind"], version["spec"]["pipelineName"]) == (
        "pipelines.kubeflow.org/v2beta1",
        "PipelineVersion",
        "continuous-retraining",
    )
    assert version["spec"]["pipelineSpec"]["root"] == compiled[0]["root"]
    assert version["spec"]["platformSpec"] == compiled[1]
    images = {executor["container"]["image"] for executor in version["spec"]["pipelineSpec"]["deploymentSpec"]["executors"].values()}
    assert all(image.startswith("registry.example/team/evergreen-") for image in images)
