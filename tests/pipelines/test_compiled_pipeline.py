from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import dsl

from evergreen.images import BASE_IMAGE, DRIFT_IMAGE
from evergreen.pipeline.compilation import KubernetesObjects, compile_pipeline
from evergreen.pipeline.loading import PipelineFileError

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "pipelines" / "continuous_retraining.py"
LOCKED_KFP = re.search(r"^kfp==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[1]
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
    stale = [str(path) for path in generated if not (ROOT / path).exists() or as_locked((ROOT / path).read_text()) != (tmp_path / path).read_text()]
    assert stale == [], "run `make generate` and commit what it writes"
    committed = {path.relative_to(ROOT) for folder in ("components", "pipelines") for path in (ROOT / folder).rglob("*.yaml")}
    assert committed - set(generated) == set(), "nothing generates these files any more: delete them"


def as_locked(text: str) -> str:
    """Return a generated file as any supported KFP writes it: the version of the one that did stands in it, and `make generate` uses the locked one."""
    return re.sub(r"^(.*sdkVersion: kfp-)[\w.]+$", rf"\g<1>{version('kfp')}", text, flags=re.MULTILINE) if version("kfp") != LOCKED_KFP else text


def test_kfp_compiles_the_file_by_itself(tmp_path: Path) -> None:
    output = tmp_path / "pipeline.yaml"
    command = [str(Path(sys.executable).parent / "kfp"), "dsl", "compile", "--py", str(PIPELINE), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert yaml.safe_load_all(output.read_text())


def test_no_step_is_cached(compiled: list[dict[str, Any]]) -> None:
    steps = [task for task in tasks_of(compiled[0]).values() if not task["componentRef"]["name"].startswith(("comp-condition", "comp-exit-handler"))]
    assert len(steps) == 13
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


def test_the_lean_pipeline_is_the_same_but_for_the_step_that_looks(compiled: list[dict[str, Any]], tmp_path: Path) -> None:
    compile_pipeline(ROOT / "pipelines" / "lean_retraining.py", tmp_path / "lean.yaml")
    lean = next(yaml.safe_load_all((tmp_path / "lean.yaml").read_text()))
    whole = compiled[0]
    assert lean["root"]["inputDefinitions"] == whole["root"]["inputDefinitions"]
    tasks, lean_tasks = tasks_of(whole), tasks_of(lean)
    looking = {"load-champion", "ingest-data", "validate-data", "detect-drift", "monitor-performance", "decide-retraining"}
    training = {"ingest-data-2": "ingest-data", "validate-data-2": "validate-data", "train-model": "train-model", "evaluate-model": "evaluate-model"}
    training |= {"refit-model": "refit-model", "deploy-model": "deploy-model"}
    groups = {"record-run", "exit-handler-1", "condition-2", "condition-3"}
    assert set(tasks) == looking | set(training) | groups
    assert set(lean_tasks) == {"assess-model"} | set(training.values()) | groups
    for name, lean_name in training.items():
        task, lean_task = tasks[name], lean_tasks[lean_name]
        assert lean_task["taskInfo"] == task["taskInfo"], name
        given, lean_given = (set(each["inputs"].get("artifacts", {})) | set(each["inputs"]["parameters"]) for each in (task, lean_task))
        assert lean_given == given, name


@pytest.mark.parametrize("name", ["continuous_retraining", "hyperparameter_search", "lean_retraining", "policy_backtest", "sharded_drift"])
def test_a_window_ends_at_the_schedules_slot_which_kfp_fills_in(tmp_path: Path, name: str) -> None:
    compile_pipeline(ROOT / "pipelines" / f"{name}.py", tmp_path / "pipeline.yaml")
    spec = next(yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text()))
    assert spec["root"]["inputDefinitions"]["parameters"]["data_window_end"]["defaultValue"] == "scheduled"
    first = "assess-model" if name == "lean_retraining" else "ingest-data"
    given = tasks_of(spec)[first]["inputs"]["parameters"]
    # Only a value that is nothing but the placeholder is filled in by KFP's driver.
    assert given["schedule_time"] == {"runtimeValue": {"constant": dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER}}
    assert given["window_end"]["componentInputParameter"].endswith("data_window_end")


@pytest.mark.parametrize("file", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda file: file.stem)
def test_every_box_of_the_graph_says_what_it_means(tmp_path: Path, file: Path) -> None:
    compile_pipeline(file, tmp_path / "pipeline.yaml")
    names = {name: task["taskInfo"]["name"] for name, task in tasks_of(next(yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text()))).items()}
    for name, shown in names.items():
        assert re.fullmatch(r"[A-Z][a-z]+[a-z, ]*", shown), name
        assert len(shown) <= 40, name
    assert not any(name.startswith("condition-branches") for name in names), "a group of branches is a box without a name of its own"


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
        ('{"other": "sha256:00"}', "'other'.*evergreen-base, evergreen-drift, evergreen-trigger"),
        ('{"evergreen-base": "latest"}', "'latest' of image 'evergreen-base': expected sha256:"),
        ("[]", "expected a JSON object"),
    ],
)
def test_wrong_digests_are_refused(tmp_path: Path, content: str, message: str) -> None:
    digests = tmp_path / "digests.json"
    digests.write_text(content)
    with pytest.raises(PipelineFileError, match=message):
        compile_pipeline(PIPELINE, tmp_path / "pipeline.yaml", digests=digests)


def test_an_output_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineFileError, match=r"pipeline\.json: expected a file name that ends in \.yaml"):
        compile_pipeline(PIPELINE, tmp_path / "pipeline.json")
    assert list(tmp_path.iterdir()) == []


def test_compiling_counts_the_pods_of_a_quiet_and_of_a_retraining_day(tmp_path: Path) -> None:
    pods = compile_pipeline(PIPELINE, tmp_path / "pipeline.yaml").pods
    # 7 steps x 2, and drivers of: the pipeline, the exit handler, the decision.
    assert (pods.fewest_steps, pods.fewest) == (7, 7 * 2 + 3)
    # 13 steps x 2, and drivers of the same and of the evaluation's condition.
    assert (pods.most_steps, pods.most) == (13, 13 * 2 + 4)
    lean = compile_pipeline(ROOT / "pipelines" / "lean_retraining.py", tmp_path / "lean.yaml").pods
    assert (lean.fewest_steps, lean.fewest, lean.most_steps, lean.most) == (2, 2 * 2 + 3, 8, 8 * 2 + 4)


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


def test_a_pipeline_with_an_importer_compiles_and_only_steps_are_told_their_image(tmp_path: Path) -> None:
    file = tmp_path / "watch.py"
    file.write_text(
        "from kfp import dsl\nfrom evergreen import detect_drift\n\n\n@dsl.pipeline(name='watch')\ndef watch(uri: str):\n"
        "    fixed = dsl.importer(artifact_uri='gs://bucket/reference', artifact_class=dsl.Dataset)\n"
        "    given = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset)\n"
        "    detect_drift(reference_data=fixed.output, current_data=given.output, target_column='rain', timestamp_column='time')\n"
    )
    output = tmp_path / "watch.yaml"
    platform = tmp_path / "platform.yaml"
    platform.write_text("version: 1\nevery_step: {node_selector: {pool: small}}")
    cost = compile_pipeline(file, output, image_registry="registry.example/team", platform_file=platform)
    # The pipeline's driver, two importers of one pod each, and a step of two.
    assert (cost.pods.most, cost.pods.most_steps) == (5, 3)
    executors = next(iter(yaml.safe_load_all(output.read_text())))["deploymentSpec"]["executors"]
    importers = {name: executor for name, executor in executors.items() if "importer" in executor}
    assert {executor["importer"]["artifactUri"].get("constant", "given") for executor in importers.values()} == {"gs://bucket/reference", "given"}
    assert not any("container" in executor for executor in importers.values())
    (step,) = [executor["container"] for name, executor in executors.items() if name not in importers]
    assert step["image"].startswith("registry.example/team/evergreen-drift:")
    assert {"name": "EVERGREEN_IMAGE", "value": step["image"]} in step["env"]
