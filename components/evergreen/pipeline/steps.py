"""What every step of a pipeline gets: a name to read, resources, retries, a timeout, secrets, and no cache.

Set here for all pipelines, so that a pipeline file shows its graph and nothing else. KFP has no field for ephemeral storage: its
requests come from the LimitRange in ``manifests/base``, which every pod of the namespace gets.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfp import dsl, kubernetes

from evergreen.pipeline.platform import quantity
from evergreen.secrets.files import SECRET_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evergreen.pipeline.platform import Platform, StepPlatform

LOST_POD_RETRIES = 2
"""How often KFP starts a step again whose pod was lost. What may pass by itself, such as a server that is away, is waited for inside the step."""

MEMORY_LIMIT = "8Gi"
"""Of every step whose platform file says nothing else. A limit stands beside each request: the default limit of somebody's LimitRange may be
smaller than the request, and Kubernetes refuses such a pod."""


@dataclass(frozen=True)
class StepSize:
    """What a step may use.

    Attributes:
        cpu_request: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        timeout_s: Seconds after which an attempt is stopped. They count from the pod's start, so pulling the image on a new node is among them.
    """

    cpu_request: str
    memory_request: str
    timeout_s: int


SMALL = StepSize(cpu_request="250m", memory_request="512Mi", timeout_s=3600)
"""Steps that read a window, compare numbers or write records. They take seconds; the hour is for a slow pull and for servers that are away."""

LARGE = StepSize(cpu_request="1", memory_request="2Gi", timeout_s=5 * 3600)
"""Steps that read the training window or fit a model."""


@dataclass
class _PlatformInUse:
    """A platform while a pipeline is being defined, and the steps that have asked for it."""

    platform: Platform
    steps: set[str] = field(default_factory=set)


_applied: ContextVar[_PlatformInUse | None] = ContextVar("applied", default=None)


@contextmanager
def on_platform(platform: Platform) -> Iterator[set[str]]:
    """Give the steps of a pipeline that is defined inside this block what a platform file says.

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
    """Apply the settings of every step to a task.

    Args:
        task: The task, as the component returned it.
        display_name: What the graph in the KFP UI shows.
        secret_name: Kubernetes secret whose keys the step reads from files; a name or a pipeline parameter.
        size: Requests and timeout.

    Returns:
        The same task.
    """
    task.set_display_name(display_name)
    # A step's cache key does not see the package or the data behind a URI: a cached step would return stale results.
    task.set_caching_options(False)
    task.set_cpu_request(size.cpu_request).set_memory_request(size.memory_request).set_memory_limit(MEMORY_LIMIT)
    _set_timeout(task, size.timeout_s)
    # The standard "restricted" of Kubernetes' Pod Security refuses a pod that does not say so.
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.use_secret_as_volume(task, secret_name=secret_name, mount_path=SECRET_FOLDER, optional=True)
    applied = _applied.get()
    if applied is not None:
        name = step_name(task)
        applied.steps.add(name)
        _put_on(task, applied.platform.of_step(name), size)
    return task


def step_name(task: dsl.PipelineTask) -> str:
    """Return the name under which a step reports: the one that its pipeline gives it, or the component's."""
    given = task.inputs.get("step_name")
    return given if isinstance(given, str) else str(task.component_spec.name).replace("-", "_")


def _set_timeout(task: dsl.PipelineTask, seconds: int) -> None:
    """Bound every attempt of a step, and all of them together.

    Argo counts the bound of the whole from the start of the first attempt, and kills an attempt that is running when it is reached: it has to be
    longer than all attempts can take, waiting for a node included.
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
    """Apply requests and limits; of a pair of which the platform gives one, the other follows where Kubernetes would refuse them."""
    cpu_request = platform.cpu_request or size.cpu_request
    memory_request, memory_limit = platform.memory_request or size.memory_request, platform.memory_limit
    if platform.cpu_limit is not None:
        task.set_cpu_limit(platform.cpu_limit)
        cpu_request = min(cpu_request, platform.cpu_limit, key=quantity)
    if memory_limit is None:
        memory_limit = max(memory_request, MEMORY_LIMIT, key=quantity)
    task.set_cpu_request(cpu_request).set_memory_limit(memory_limit).set_memory_request(min(memory_request, memory_limit, key=quantity))
