"""Settings of every pipeline step: a display name, resources, retries, a timeout, secrets, and disabled caching.

They are set here for all pipelines, so that a pipeline file shows only its graph. KFP has no field for ephemeral storage; its
requests come from the LimitRange in ``manifests/base``, which applies to every pod in the namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfp import dsl, kubernetes

from evergreen.pipeline.platform import quantity
from evergreen.secrets.files import SECRET_FOLDER

if TYPE_CHECKING:
    from evergreen.pipeline.platform import Platform, StepPlatform

LOST_POD_RETRIES = 2
"""How often KFP restarts a step whose pod was lost. Transient faults, such as an unavailable server, are retried inside the step."""

MEMORY_LIMIT = "8Gi"
"""Memory limit of every step unless the platform file sets another. A limit accompanies each request because the default limit of a LimitRange
may be smaller than the request, and Kubernetes rejects such a pod."""


@dataclass(frozen=True)
class StepSize:
    """Resources and timeout of a step.

    Attributes:
        cpu_request: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        timeout_s: Seconds after which an attempt is stopped, counted from the start of the pod, including pulling the image on a new node.
    """

    cpu_request: str
    memory_request: str
    timeout_s: int


SMALL = StepSize(cpu_request="250m", memory_request="512Mi", timeout_s=3600)
"""Steps that read a window, compare numbers or write records. They take seconds; the hour allows for slow pulls and unavailable servers."""

LARGE = StepSize(cpu_request="1", memory_request="2Gi", timeout_s=5 * 3600)
"""Steps that read the training window or fit a model."""


@dataclass
class _PlatformInUse:
    """The platform that applies while a pipeline is being defined, and the steps defined so far."""

    platform: Platform
    steps: set[str] = field(default_factory=set)


_applied: ContextVar[_PlatformInUse | None] = ContextVar("applied", default=None)


@contextmanager
def on_platform(platform: Platform) -> Iterator[set[str]]:
    """Apply a platform file to the steps of a pipeline defined inside the block.

    Yields:
        The names of the steps that were defined, filled while the block runs.
    """
    applied = _PlatformInUse(platform)
    token = _applied.set(applied)
    try:
        yield applied.steps
    finally:
        _applied.reset(token)


def step(task: dsl.PipelineTask, display_name: str, *, secret_name: Any, size: StepSize = SMALL) -> dsl.PipelineTask:
    """Apply the common step settings to a task.

    Args:
        task: The task returned by the component.
        display_name: Name shown in the graph of the KFP UI.
        secret_name: Kubernetes secret whose keys the step reads from files; a name or a pipeline parameter.
        size: Resource requests and timeout.

    Returns:
        The same task.
    """
    task.set_display_name(display_name)
    # A step's cache key does not cover the package or the data behind a URI, so a cached step would return stale results.
    task.set_caching_options(False)
    task.set_cpu_request(size.cpu_request).set_memory_request(size.memory_request).set_memory_limit(MEMORY_LIMIT)
    _set_timeout(task, size.timeout_s)
    # Kubernetes' Pod Security Standard "restricted" rejects a pod without this setting.
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.use_secret_as_volume(task, secret_name=secret_name, mount_path=SECRET_FOLDER, optional=True)
    applied = _applied.get()
    if applied is not None:
        name = step_name(task)
        applied.steps.add(name)
        _put_on(task, applied.platform.of_step(name), size)
    return task


def step_name(task: dsl.PipelineTask) -> str:
    """Return the name under which a step reports: the one set by its pipeline, or else the component's."""
    given = task.inputs.get("step_name")
    return given if isinstance(given, str) else str(task.component_spec.name).replace("-", "_")


def _set_timeout(task: dsl.PipelineTask, seconds: int) -> None:
    """Limit the duration of each attempt of a step, and of all attempts together.

    Argo counts the overall limit from the start of the first attempt and kills an attempt that is running when it is reached, so the limit must
    be longer than all attempts can take, including waiting for a node.
    """
    kubernetes.set_timeout(task, seconds)
    longest = 2 * (LOST_POD_RETRIES + 1) * seconds
    task.set_retry(num_retries=LOST_POD_RETRIES, backoff_duration="15s", backoff_factor=2.0, backoff_max_duration=f"{longest}s")


def _put_on(task: dsl.PipelineTask, platform: StepPlatform, size: StepSize) -> None:
    """Apply a platform's settings to a task."""
    _set_resources(task, platform, size)
    if platform.accelerator is not None:
        task.set_accelerator_type(platform.accelerator.type).set_accelerator_limit(platform.accelerator.limit)
    if platform.timeout_seconds is not None:
        _set_timeout(task, platform.timeout_seconds)
    for key, value in platform.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in platform.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump())
    for volume in platform.volumes:
        kubernetes.mount_pvc(task, pvc_name=volume.claim, mount_path=volume.path)
    if platform.image_pull_secret is not None:
        kubernetes.set_image_pull_secrets(task, [platform.image_pull_secret])
    identity = {name: getattr(platform, name) for name in ("run_as_user", "run_as_group", "run_as_non_root") if getattr(platform, name) is not None}
    kubernetes.set_security_context(task, **{"run_as_non_root": True, **identity})


def _set_resources(task: dsl.PipelineTask, platform: StepPlatform, size: StepSize) -> None:
    """Apply requests and limits; if the platform sets only one of a pair, adjust the other where Kubernetes would reject the pair."""
    cpu_request = platform.cpu_request or size.cpu_request
    memory_request, memory_limit = platform.memory_request or size.memory_request, platform.memory_limit
    if platform.cpu_limit is not None:
        task.set_cpu_limit(platform.cpu_limit)
        cpu_request = min(cpu_request, platform.cpu_limit, key=quantity)
    if memory_limit is None:
        memory_limit = max(memory_request, MEMORY_LIMIT, key=quantity)
    task.set_cpu_request(cpu_request).set_memory_limit(memory_limit).set_memory_request(min(memory_request, memory_limit, key=quantity))
