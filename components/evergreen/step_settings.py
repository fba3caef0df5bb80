"""What every step of a pipeline gets: a name to read, resources, retries, a timeout, secrets, and no cache.

Set here for all pipelines, so that a pipeline file shows its graph and nothing else. KFP has no field for ephemeral storage: its
requests come from the LimitRange in ``manifests/base``, which every pod of the namespace gets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfp import dsl, kubernetes

from evergreen.secret_files import SECRET_KEYS

if TYPE_CHECKING:
    from evergreen.platform_file import Platform, StepPlatform


@dataclass(frozen=True)
class StepSize:
    """What a step may use.

    Attributes:
        cpu_request: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        timeout_s: Seconds after which the pod is stopped.
    """

    cpu_request: str
    memory_request: str
    timeout_s: int


SMALL = StepSize(cpu_request="250m", memory_request="512Mi", timeout_s=1800)
"""Steps that read a window, compare numbers or write records."""

LARGE = StepSize(cpu_request="1", memory_request="2Gi", timeout_s=4 * 3600)
"""Steps that read the training window or fit a model."""


@dataclass
class _Applied:
    """A platform while a pipeline is being defined, and the steps that have asked for it."""

    platform: Platform
    steps: set[str] = field(default_factory=set)


_applied: ContextVar[_Applied | None] = ContextVar("applied", default=None)


@contextmanager
def on_platform(platform: Platform) -> Iterator[set[str]]:
    """Give the steps of a pipeline that is defined inside this block what a platform file says.

    Yields:
        The names of the steps that were defined, filled while the block runs.
    """
    applied = _Applied(platform)
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
        secret_name: Kubernetes secret whose keys become environment variables; a name or a pipeline parameter.
        size: Requests and timeout.

    Returns:
        The same task.
    """
    task.set_display_name(display_name)
    # A step's cache key does not see the package or the data behind a URI: a cached step would return stale results.
    task.set_caching_options(False)
    task.set_cpu_request(size.cpu_request).set_memory_request(size.memory_request)
    task.set_retry(num_retries=2, backoff_duration="15s", backoff_factor=2.0, backoff_max_duration="120s")
    kubernetes.set_timeout(task, size.timeout_s)
    kubernetes.use_secret_as_env(task, secret_name=secret_name, secret_key_to_env={key: key for key in SECRET_KEYS}, optional=True)
    applied = _applied.get()
    if applied is not None:
        name = step_name(task)
        applied.steps.add(name)
        _put_on(task, applied.platform.of_step(name))
    return task


def step_name(task: dsl.PipelineTask) -> str:
    """Return the name under which a step reports: the one that its pipeline gives it, or the component's."""
    given = task.inputs.get("step_name")
    return given if isinstance(given, str) else str(task.component_spec.name).replace("-", "_")


def _put_on(task: dsl.PipelineTask, platform: StepPlatform) -> None:
    """Apply a platform's settings to a task."""
    setters = {
        "cpu_request": task.set_cpu_request,
        "cpu_limit": task.set_cpu_limit,
        "memory_request": task.set_memory_request,
        "memory_limit": task.set_memory_limit,
    }
    for name, setter in setters.items():
        if getattr(platform, name) is not None:
            setter(getattr(platform, name))
    if platform.accelerator is not None:
        task.set_accelerator_type(platform.accelerator.type).set_accelerator_limit(platform.accelerator.limit)
    if platform.timeout_seconds is not None:
        kubernetes.set_timeout(task, platform.timeout_seconds)
    for key, value in platform.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in platform.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump())
    for volume in platform.volumes:
        kubernetes.mount_pvc(task, pvc_name=volume.claim, mount_path=volume.path)
    if platform.image_pull_secret is not None:
        kubernetes.set_image_pull_secrets(task, [platform.image_pull_secret])
    identity = {name: getattr(platform, name) for name in ("run_as_user", "run_as_group", "run_as_non_root") if getattr(platform, name) is not None}
    if identity:
        kubernetes.set_security_context(task, **identity)
