"""Provenance of a training run, so that it can be reproduced: data, code, libraries, machine."""

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
    """Return the facts logged with the model: data manifest, versions, image, machine and warnings.

    Args:
        manifest: Manifest of the training data; None if it was not ingested by Evergreen.
        data_uri: Location of the rows.
        warnings: Warnings about the rows.
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
    """Return the peak memory use of this process in MB; 0 if the system does not report it."""
    try:
        import resource
    except ImportError:
        return 0.0
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)
