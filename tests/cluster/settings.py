"""What the suite has to know about the cluster that it runs on; every value can be given in the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "manifests" / "ci"
FOLDER = "/var/lib/evergreen"


@dataclass(frozen=True)
class ClusterSettings:
    """Where things are.

    Attributes:
        host: Address of KFP's API (``EVERGREEN_KFP_HOST``); empty when there is none to run on.
        host_inside: The same API, for pods of the cluster.
        namespace: Where the pods of runs live.
        service_account: Of these pods.
        files_pod: A pod that mounts, at /var/lib/evergreen, the volume that every step mounts.
        platform_file: Puts that volume into every step.
        parameter_file: Parameters that all runs share; the ledger lies on the volume.
        image_registry: Registry of the images; Evergreen's own when empty.
        mlflow: Namespace and deployment of the MLflow server, which is scaled to nothing for a while.
        outage_s: For how long it is away.
    """

    host: str
    host_inside: str
    namespace: str
    service_account: str
    files_pod: str
    platform_file: Path
    parameter_file: Path
    image_registry: str
    mlflow: str
    outage_s: float

    @property
    def mlflow_namespace(self) -> str:
        """Return the namespace of the MLflow server."""
        return self.mlflow.partition("/")[0]

    @property
    def mlflow_deployment(self) -> str:
        """Return the deployment of the MLflow server."""
        return self.mlflow.partition("/")[2]


def read_settings(environment: Mapping[str, str] = os.environ) -> ClusterSettings:
    """Read the settings; what is not given is as on the cluster that .github/workflows/cluster.yaml brings up."""
    return ClusterSettings(
        host=environment.get("EVERGREEN_KFP_HOST", ""),
        host_inside=environment.get("EVERGREEN_CLUSTER_HOST_INSIDE", "http://ml-pipeline.kubeflow.svc.cluster.local:8888"),
        namespace=environment.get("EVERGREEN_CLUSTER_NAMESPACE", "kubeflow"),
        service_account=environment.get("EVERGREEN_CLUSTER_SERVICE_ACCOUNT", "evergreen-pipeline"),
        files_pod=environment.get("EVERGREEN_CLUSTER_FILES_POD", "evergreen-files"),
        platform_file=Path(environment.get("EVERGREEN_CLUSTER_PLATFORM", CI / "kind-platform.yaml")),
        parameter_file=Path(environment.get("EVERGREEN_CLUSTER_PARAMETERS", CI / "kind-parameters.yaml")),
        image_registry=environment.get("EVERGREEN_CLUSTER_IMAGE_REGISTRY", ""),
        mlflow=environment.get("EVERGREEN_CLUSTER_MLFLOW", "evergreen/evergreen-mlflow"),
        outage_s=float(environment.get("EVERGREEN_CLUSTER_OUTAGE_SECONDS", "100")),
    )
