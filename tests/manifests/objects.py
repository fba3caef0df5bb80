from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILT = ("overlays/standalone", "overlays/multi-user", "overlays/gcp", "pipelines")


@lru_cache
def built(folder: str) -> list[dict[str, Any]]:
    """Return the objects that ``kubectl apply -k`` would apply."""
    return kustomized(ROOT / "manifests" / folder)


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """Return the objects of a kustomization."""
    finished = subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True, timeout=60)
    return list(yaml.safe_load_all(finished.stdout))


def name_of(found: dict[str, Any]) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"
