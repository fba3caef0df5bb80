from __future__ import annotations

import copy
import os
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from evergreen.images import IMAGES, REPOSITORY
from evergreen.pipeline.compilation import KubernetesObjects, compile_pipeline
from evergreen.secrets.files import SECRET_KEYS
from manifests.objects import BUILT, ROOT, built, kustomized, name_of
from manifests.policy import pod_of, violations

SUPPORTED = ("1.29", "1.31", "1.33")
OWN_KINDS = ("Profile", "AuthorizationPolicy")
"""Kinds of other projects, for which Kubernetes itself has no schema."""


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("folder", BUILT)
def test_every_object_fits_kubernetes_schema(folder: str, version: str) -> None:
    checked = 0
    for found in built(folder):
        if found["kind"] not in OWN_KINDS:
            kubernetes_validate.validate(found, version, strict=True)
            checked += 1
    assert checked >= 3


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    broken = copy.deepcopy(next(found for found in built("overlays/standalone") if found["kind"] == "Deployment"))
    broken["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, SUPPORTED[-1], strict=True)


@pytest.mark.parametrize("folder", BUILT)
def test_every_object_keeps_to_the_policy(folder: str) -> None:
    assert {name_of(found): wrong for found in built(folder) if (wrong := violations(found))} == {}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda pod: pod["securityContext"].pop("runAsNonRoot"), "may run as root"),
        (lambda pod: pod["containers"][0].update(image="example/image:latest"), "has no version"),
        (lambda pod: pod["containers"][0].update(image="example/image"), "has no version"),
        (lambda pod: pod["containers"][0]["resources"]["limits"].pop("memory"), "no limits of memory"),
        (lambda pod: pod["containers"][0]["env"].append({"name": "API_TOKEN", "value": "x"}), "API_TOKEN holds a value"),
        (lambda pod: pod["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"), "may write to its root"),
        (lambda pod: pod.pop("automountServiceAccountToken"), "has a token"),
    ],
)
def test_the_policy_finds_what_is_wrong_with_a_pod(change: Any, found: str) -> None:
    workload = copy.deepcopy(next(found for found in built("overlays/standalone") if name_of(found) == "Deployment/evergreen-trigger"))
    change(pod_of(workload))
    assert found in " ".join(violations(workload))


def test_the_policy_finds_wide_roles_and_secret_values() -> None:
    role = {"kind": "Role", "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]}
    assert violations(role) == ["a rule with every one of verbs", "a rule for every secret"]
    assert violations({"kind": "Secret"}) == ["holds secret values"]
    assert violations({"kind": "ConfigMap", "data": {"a.yaml": "password: x"}}) == ["a.yaml holds password"]


@pytest.mark.parametrize("folder", BUILT)
def test_images_of_ours_are_of_this_release(folder: str) -> None:
    pods = [pod for found in built(folder) if (pod := pod_of(found)) is not None]
    ours = {container["image"] for pod in pods for container in pod["containers"] if container["image"].startswith(REPOSITORY)}
    assert ours
    assert ours <= set(IMAGES)


def test_what_refers_to_each_other_is_there() -> None:
    for folder in ("overlays/standalone", "overlays/multi-user", "overlays/gcp"):
        objects = built(folder)
        accounts = {found["metadata"]["name"] for found in objects if found["kind"] == "ServiceAccount"}
        maps = {found["metadata"]["name"] for found in objects if found["kind"] == "ConfigMap"}
        for pod in (pod for found in objects if (pod := pod_of(found)) is not None):
            assert pod["serviceAccountName"] in accounts
            assert {volume["configMap"]["name"] for volume in pod.get("volumes", []) if "configMap" in volume} <= maps
        selected = [found["spec"]["selector"]["app.kubernetes.io/name"] for found in objects if found["kind"] == "Service"]
        assert set(selected) == {found["metadata"]["name"] for found in objects if pod_of(found) is not None}


def test_gcp_has_neither_keys_nor_an_object_store() -> None:
    text = yaml.safe_dump_all(built("overlays/gcp"))
    assert "AWS_" not in text
    assert "StatefulSet/evergreen-object-store" not in {name_of(found) for found in built("overlays/gcp")}
    assert text.count("iam.gke.io/gcp-service-account") == 2


def test_every_step_of_a_run_gets_ephemeral_storage() -> None:
    for folder in ("overlays/standalone", "overlays/multi-user", "overlays/gcp"):
        (limits,) = [found for found in built(folder) if found["kind"] == "LimitRange"]
        (container,) = limits["spec"]["limits"]
        assert (container["type"], container["defaultRequest"]["ephemeral-storage"], container["default"]["ephemeral-storage"]) == ("Container", "1Gi", "10Gi")


def test_a_network_policy_denies_what_no_other_allows() -> None:
    policies = {found["metadata"]["name"]: found["spec"] for found in built("overlays/standalone") if found["kind"] == "NetworkPolicy"}
    assert policies["evergreen-default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (to_kfp,) = [rule for rule in policies["evergreen-trigger"]["egress"] if rule["ports"][0]["port"] == 8888]
    assert to_kfp["to"][0]["podSelector"]["matchLabels"] == {"app": "ml-pipeline"}


def test_the_example_of_secrets_cannot_be_applied_and_names_every_key() -> None:
    examples = list(yaml.safe_load_all((ROOT / "manifests" / "secrets.example.yaml").read_text()))
    held = {(example["metadata"]["name"], key) for example in examples for key in example["stringData"]}
    assert {example["apiVersion"] for example in examples} == {"example.evergreen.dev/only-an-example"}
    for folder in BUILT:
        for pod in (pod for found in built(folder) if (pod := pod_of(found)) is not None):
            references = [
                variable["valueFrom"]["secretKeyRef"] for container in pod["containers"] for variable in container.get("env", []) if "valueFrom" in variable
            ]
            assert {(reference["name"], reference["key"]) for reference in references} <= held
    assert {key for name, key in held if name == "evergreen-pipeline"} <= set(SECRET_KEYS)
    used = subprocess.run(["grep", "-rl", "secrets.example", str(ROOT / "manifests")], capture_output=True, text=True, check=False).stdout
    assert used == ""


def test_the_objects_of_every_pipeline_stand_beside_the_schedule(tmp_path: Path) -> None:
    files = sorted((ROOT / "pipelines").glob("*.py"))
    for file in files:
        compile_pipeline(file, tmp_path / f"{file.stem}.yaml", objects=KubernetesObjects())
    resources = [*(f"{file.stem}.yaml" for file in files), os.path.relpath(ROOT / "manifests" / "pipelines", tmp_path)]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": "kubeflow", "resources": resources}))
    objects = kustomized(tmp_path)
    assert {found["metadata"]["namespace"] for found in objects} == {"kubeflow"}
    assert {name_of(found): wrong for found in objects if (wrong := violations(found))} == {}
    pipelines = {found["metadata"]["name"] for found in objects if found["kind"] == "Pipeline"}
    assert pipelines == {file.stem.replace("_", "-") for file in files}
    versions = [found for found in objects if found["kind"] == "PipelineVersion"]
    assert {version["spec"]["pipelineName"] for version in versions} == pipelines
    images = {executor["container"]["image"] for version in versions for executor in version["spec"]["pipelineSpec"]["deploymentSpec"]["executors"].values()}
    assert images <= set(IMAGES)
    assert [found["metadata"]["name"] for found in objects if found["kind"] == "Job"] == ["evergreen-nightly"]


def test_no_compiled_pipeline_is_kept_twice() -> None:
    repeated = [str(path) for path in (ROOT / "manifests").rglob("*.yaml") if "pipelineSpec:" in path.read_text(encoding="utf-8")]
    assert repeated == [], "pipelines/ holds the compiled pipelines; their objects are built by `make pipeline`"


def test_the_schedule_of_gitops_is_a_command_that_exists() -> None:
    import typer
    from typer.main import get_group

    from evergreen.cli.main import app

    (job,) = [found for found in built("pipelines") if found["kind"] == "Job"]
    (container,) = pod_of(job)["containers"]
    command: Any = get_group(app)
    for word in container["command"][1:3]:
        command = command.get_command(typer.Context(command), word)
    command.make_context("replace", [container["command"][3], *container["args"]])
