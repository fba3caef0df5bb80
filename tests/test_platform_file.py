from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evergreen.pipeline.compilation import compile_pipeline
from evergreen.pipeline.loading import PipelineFileError
from evergreen.pipeline.platform import quantity

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = ROOT / "pipelines" / "continuous_retraining.py"


def compile_on(tmp_path: Path, platform: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the containers and the Kubernetes settings of the executors."""
    (tmp_path / "platform.yaml").write_text(platform)
    compile_pipeline(PIPELINE, tmp_path / "pipeline.yaml", platform_file=tmp_path / "platform.yaml")
    spec, kubernetes = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    containers = {name: executor["container"] for name, executor in spec["deploymentSpec"]["executors"].items()}
    return containers, kubernetes["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_every_step_gets_what_is_said_for_all_and_a_step_what_is_said_for_it(tmp_path: Path) -> None:
    containers, kubernetes = compile_on(tmp_path, (ROOT / "manifests" / "platform.example.yaml").read_text())
    assert len(containers) == 13
    for name, settings in kubernetes.items():
        training = name == "exec-train-model"
        assert settings["nodeSelector"]["labels"] == {"workload": "training" if training else "pipelines"}, name
        assert settings["tolerations"] == [{"key": "dedicated", "operator": "Equal", "value": "pipelines", "effect": "NoSchedule"}], name
        assert settings["securityContext"] == {"runAsNonRoot": True}, name
        assert [(mount["constant"], mount["mountPath"]) for mount in settings["pvcMount"]] == [("evergreen-ledger", "/var/lib/evergreen")], name
    resources = containers["exec-train-model"]["resources"]
    assert (resources["resourceMemoryRequest"], resources["resourceMemoryLimit"]) == ("8Gi", "16Gi")
    assert (resources["accelerator"]["resourceType"], resources["accelerator"]["resourceCount"]) == ("nvidia.com/gpu", "1")
    assert kubernetes["exec-train-model"]["activeDeadlineSeconds"] == "28800"
    assert "accelerator" not in containers["exec-load-champion"]["resources"]
    assert containers["exec-detect-drift"]["resources"]["resourceMemoryLimit"] == "4Gi"


def test_two_steps_of_one_component_are_told_apart(tmp_path: Path) -> None:
    containers, _ = compile_on(tmp_path, "version: 1\nsteps: {ingest_training_data: {memory_request: 7Gi}}")
    given = [container["resources"]["resourceMemoryRequest"] for name, container in containers.items() if name.startswith("exec-ingest-data")]
    assert sorted(given) == ["512Mi", "7Gi"]


@pytest.mark.parametrize(
    ("platform", "request_and_limit"),
    [
        ("", ("2Gi", "8Gi")),
        ("every_step: {memory_request: 12Gi}", ("12Gi", "12Gi")),
        ("every_step: {memory_limit: 1Gi}", ("1Gi", "1Gi")),
        ("every_step: {memory_limit: 16G}", ("2Gi", "16G")),
        ("every_step: {memory_limit: 4Gi}\nsteps: {train_challenger: {memory_request: 6Gi}}", ("6Gi", "6Gi")),
        ("every_step: {memory_request: 6Gi}\nsteps: {train_challenger: {memory_limit: 4Gi}}", ("4Gi", "4Gi")),
        ("steps: {train_challenger: {memory_request: 9000Mi, memory_limit: 20Gi}}", ("9000Mi", "20Gi")),
    ],
)
def test_no_request_is_above_its_limit(tmp_path: Path, platform: str, request_and_limit: tuple[str, str]) -> None:
    containers, _ = compile_on(tmp_path, f"version: 1\n{platform}")
    resources = containers["exec-train-model"]["resources"]
    assert (resources["resourceMemoryRequest"], resources["resourceMemoryLimit"]) == request_and_limit
    for name, container in containers.items():
        for kind in ("Memory", "Cpu"):
            limit = container["resources"].get(f"resource{kind}Limit")
            assert kind == "Cpu" or limit is not None, name
            assert limit is None or quantity(container["resources"][f"resource{kind}Request"]) <= quantity(limit), name


def test_without_a_platform_nothing_is_selected(tmp_path: Path) -> None:
    _, kubernetes = compile_on(tmp_path, "version: 1")
    assert not any({"nodeSelector", "tolerations", "pvcMount"} & set(settings) for settings in kubernetes.values())


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("version: 2", "version is 2: Input should be 1"),
        ("version: 1\nsteps: {train_chalenger: {}}", "Did you mean 'train_challenger'"),
        ("version: 1\nevery_step: {memory: 1Gi}", "Unknown field 'every_step.memory'. Valid fields: node_selector"),
        ("version: 1\nsteps: {volumes: {memory_limt: 1Gi}}", "Did you mean 'memory_limit'?"),
        (
            "version: 1\nevery_step: {volumes: [{claim: a, paht: /a}]}",
            "Unknown field 'every_step.volumes.0.paht'. Valid fields: claim, path. Did you mean 'path'?",
        ),
        ("version: 1\nevery_step: {memory_limit: plenty}", "every_step.memory_limit is 'plenty'"),
        ("version: 1\nevery_step: {volumes: [{claim: a, path: relative}]}", "path is 'relative'"),
        ("version: 1\nevery_step: {run_as_user: 0}", "run_as_user is 0"),
        ("version: 1\nevery_step: {memory_request: 4Gi, memory_limit: 2Gi}", "memory_limit 2Gi is below memory_request 4Gi"),
        ("version: 1\nevery_step: {cpu_request: 2, cpu_limit: 500m}", "cpu_limit 500m is below cpu_request 2"),
        ("version: [", "is not YAML"),
        ("", "the whole file is None"),
    ],
)
def test_a_wrong_platform_file_is_refused_and_nothing_is_written(tmp_path: Path, platform: str, message: str) -> None:
    with pytest.raises(PipelineFileError) as caught:
        compile_on(tmp_path, platform)
    assert message in str(caught.value)
    assert not (tmp_path / "pipeline.yaml").exists()


def test_an_absent_platform_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineFileError, match=r"absent\.yaml: cannot be read"):
        compile_pipeline(PIPELINE, tmp_path / "pipeline.yaml", platform_file=tmp_path / "absent.yaml")
