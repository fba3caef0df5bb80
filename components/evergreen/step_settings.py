"""What every step of a pipeline gets: a name to read, resources, retries, a timeout, secrets, and no cache.

Set here for all pipelines, so that a pipeline file shows its graph and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

SECRET_KEYS = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "EVERGREEN_DATABASE_URL",
    "EVERGREEN_APPROVAL_KEY",
    "EVERGREEN_PUBLISHING_KEY",
)
"""Keys that a step reads from the secret ``secret_name``, each into the environment variable of the same name.

KFP fixes the keys when a pipeline is compiled; a key that the secret does not hold is passed over.
"""


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
    return task
