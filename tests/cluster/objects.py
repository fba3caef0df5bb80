"""Kubernetes objects that the suite applies, made of those that the project ships, with this session's names in them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from cluster.settings import ROOT, ClusterSettings
from evergreen.images import IMAGES

TRIGGER = "trigger"
SECRET_ENVIRONMENT = "EVERGREEN_TRIGGER_WEBHOOK_SECRET"


def named_pipeline_source(pipeline: str, name: str, folder: Path) -> Path:
    """Write a copy of a pipeline's file under another name, so that its objects stand beside nobody else's."""
    text = (ROOT / "pipelines" / f"{pipeline}.py").read_text(encoding="utf-8")
    own = f'name="{pipeline.replace("_", "-")}"'
    assert text.count(own) == 1
    target = folder / f"{name.replace('-', '_')}.py"
    target.write_text(text.replace(own, f'name="{name}"'), encoding="utf-8")
    return target


def gitops_objects(compiled: Path) -> list[dict[str, Any]]:
    """Return the Pipeline and its PipelineVersion."""
    return [found for found in yaml.safe_load_all(compiled.read_text(encoding="utf-8")) if found]


def schedule_job(settings: ClusterSettings, *, pipeline: str, name: str, cron: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of manifests/pipelines/schedule.yaml, for another pipeline and schedule."""
    shipped = yaml.safe_load_all((ROOT / "manifests" / "pipelines" / "schedule.yaml").read_text(encoding="utf-8"))
    found = {each["kind"]: copy.deepcopy(each) for each in shipped}
    found["ConfigMap"]["data"] = {"parameters.yaml": yaml.safe_dump(parameters)}
    container = found["Job"]["spec"]["template"]["spec"]["containers"][0]
    own = {"--cron": cron, "--service-account": settings.service_account, "--host": settings.host_inside}
    container["command"] = [*container["command"][:-1], name]
    container["args"] = [_with_own_value(argument, own) for argument in container["args"]] + [f"--pipeline={pipeline}"]
    container["image"] = image("base", settings)
    volume = found["Job"]["spec"]["template"]["spec"]["volumes"][0]
    volume["configMap"]["name"] = name
    found["Job"]["spec"]["template"]["spec"]["serviceAccountName"] = name
    # Deleted by the suite, after it has read the log.
    found["Job"]["spec"].pop("ttlSecondsAfterFinished")
    for each in found.values():
        each["metadata"]["name"] = name
    return [found["ConfigMap"], found["ServiceAccount"], found["Job"]]


def trigger_objects(settings: ClusterSettings, *, pipeline: str, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trigger of manifests/base/platform as one pod, with parameters of this session; its secret is made by the suite."""
    shipped = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(_platform("trigger.yaml"))}
    configuration = yaml.safe_load(shipped["ConfigMap", "evergreen-trigger"]["data"]["trigger.yaml"])
    configuration |= {"pipeline": pipeline, "parameters": parameters, "service_account": settings.service_account}
    pod = copy.deepcopy(shipped["Deployment", "evergreen-trigger"]["spec"]["template"])
    specification = pod["spec"]
    specification.pop("serviceAccountName")
    specification["volumes"][0]["configMap"]["name"] = name
    container = specification["containers"][0]
    container["image"] = image(TRIGGER, settings)
    kept = [variable for variable in container["env"] if variable["name"] not in {"EVERGREEN_TRIGGER_MLFLOW_SECRET", "EVERGREEN_TRIGGER_ALERTMANAGER_TOKEN"}]
    for variable in kept:
        if variable["name"] == "EVERGREEN_KFP_HOST":
            variable["value"] = settings.host_inside
        if variable["name"] == SECRET_ENVIRONMENT:
            variable["valueFrom"]["secretKeyRef"]["name"] = name
    container["env"] = kept
    labels = {"app.kubernetes.io/name": name}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"trigger.yaml": yaml.safe_dump(configuration)}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": specification},
    ]


def secret_object(name: str, values: dict[str, str]) -> dict[str, Any]:
    """Return a secret; its values are made by the session that applies it."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def image(target: str, settings: ClusterSettings) -> str:
    """Return one of Evergreen's images, as the cluster has it."""
    (own,) = [found for found in IMAGES if found.rpartition("/")[2].startswith(f"evergreen-{target}:")]
    return f"{settings.image_registry.rstrip('/')}/{own.rpartition('/')[2]}" if settings.image_registry else own


def webhook_body(event: str, parameters: dict[str, Any]) -> bytes:
    """Return what a system of one's own sends to the trigger."""
    return json.dumps({"event": event, "parameters": parameters}).encode()


def _with_own_value(argument: str, own: dict[str, str]) -> str:
    option = argument.partition("=")[0]
    return f"{option}={own[option]}" if option in own else argument


def _platform(file: str) -> str:
    return (ROOT / "manifests" / "base" / "platform" / file).read_text(encoding="utf-8")
