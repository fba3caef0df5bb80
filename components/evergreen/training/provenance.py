"""What stood around a training, so that it can be done again: data, code, libraries, machine."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evergreen.version import __version__, installed_version

if TYPE_CHECKING:
    from evergreen.data.artifacts import DataManifest

LIBRARIES = ("kfp-evergreen", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")
IMAGE_VARIABLES = ("EVERGREEN_IMAGE", "EVERGREEN_IMAGE_DIGEST")


def surroundings(manifest: DataManifest | None, *, data_uri: str, warnings: list[str]) -> dict[str, Any]:
    """Return what is logged beside the model: the data's manifest, versions, image, machine and warnings.

    Args:
        manifest: Where the training data came from; None where Evergreen did not ingest it.
        data_uri: Where the rows lay.
        warnings: What looks wrong about the rows.
    """
    return {
        "data_uri": data_uri,
        "data_manifest": asdict(manifest) if manifest else None,
        "evergreen_version": __version__,
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "libraries": library_versions(),
        "image": {name: os.environ[name] for name in IMAGE_VARIABLES if os.environ.get(name)},
        "peak_memory_megabytes": peak_memory_megabytes(),
        "warnings": warnings,
    }


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a model depends on."""
    return {name: installed_version(name) for name in LIBRARIES}


def peak_memory_megabytes() -> float:
    """Return the most memory that this process has used so far, in MB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)
