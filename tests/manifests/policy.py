"""What every object that we hand to a cluster has to keep to. Each rule returns what is wrong, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

WORKLOADS = ("Deployment", "StatefulSet", "Job", "DaemonSet", "CronJob", "Pod")
SECRET_NAME = re.compile(r"password|secret|token|credential|api_?key|access_?key", re.IGNORECASE)


def pod_of(found: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pod specification of a workload."""
    if found["kind"] not in WORKLOADS:
        return None
    specification: dict[str, Any] = found["spec"]
    while "template" in specification or "jobTemplate" in specification:
        specification = (specification.get("jobTemplate") or specification.get("template"))["spec"]
    return specification


def violations(found: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with an object."""
    wrong = [*_roles(found), *_secrets(found)]
    pod = pod_of(found)
    if pod is not None:
        wrong += _pod(pod)
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            wrong += _container(container)
    return wrong


def _pod(pod: dict[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "has a token of the Kubernetes API"
    if any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")) or any("hostPath" in volume for volume in pod.get("volumes", [])):
        yield "reaches into its node"


def _container(container: dict[str, Any]) -> Iterator[str]:
    image = container["image"]
    if not re.search(r"(:[^/]*[0-9][^/]*|@sha256:[0-9a-f]{64})$", image) or image.endswith(":latest"):
        yield f"image {image} has no version"
    for kind in ("requests", "limits"):
        missing = {"cpu", "memory", "ephemeral-storage"} - set(container.get("resources", {}).get(kind, {}))
        if missing:
            yield f"container {container['name']} has no {kind} of {', '.join(sorted(missing))}"
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities", {}).get("drop") != ["ALL"] or security.get("privileged"):
        yield f"container {container['name']} may gain privileges"
    if security.get("readOnlyRootFilesystem") is not True:
        yield f"container {container['name']} may write to its root file system"
    for variable in container.get("env", []):
        if SECRET_NAME.search(variable["name"]) and variable.get("value") and not variable["name"].endswith("_PATH"):
            yield f"variable {variable['name']} holds a value"


def _roles(found: dict[str, Any]) -> Iterator[str]:
    if found["kind"] not in {"Role", "ClusterRole"}:
        return
    if found["kind"] == "ClusterRole":
        yield "reaches over all namespaces"
    for rule in found["rules"]:
        for field in ("apiGroups", "resources", "verbs"):
            if "*" in rule[field]:
                yield f"a rule with every one of {field}"
        if {"escalate", "bind", "impersonate"} & set(rule["verbs"]):
            yield "a rule that grants more than it has"
        if "secrets" in rule["resources"] and not rule.get("resourceNames"):
            yield "a rule for every secret"


def _secrets(found: dict[str, Any]) -> Iterator[str]:
    if found["kind"] == "Secret":
        yield "holds secret values"
    if found["kind"] == "ConfigMap":
        for key, text in found.get("data", {}).items():
            for line in text.splitlines():
                name, _, value = line.partition(":")
                if SECRET_NAME.search(name) and not name.strip().endswith("_name") and value.strip():
                    yield f"{key} holds {name.strip()}"
