"""What a real backend handed to steps, and the rules that can be drawn from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"
RECORDED_ROOT = "minio://mlpipeline/v2/artifacts"

FREE_NAMES = {"parameterValues", "metadata", "parameters", "struct"}
"""Mappings whose keys are names that a pipeline or a step chose."""


def recorded_inputs() -> list[dict[str, Any]]:
    """The recordings: run, function and executor input."""
    return json.loads((RECORDED / "executor_inputs.json").read_text())


def recorded_pipelines() -> dict[str, dict[str, Any]]:
    """The graphs of the pipelines that were recorded, by name."""
    return json.loads((RECORDED / "pipelines.json").read_text())


def facts(handed_over: dict[str, Any]) -> set[str]:
    """Return everything that is said about the form of an executor input, each as one line that holds for any step.

    Names that a pipeline chose become ``*``; values become their kind, but for types and the numbers that name artifacts, which are part of the form.
    """
    root = _artifact_root(handed_over)
    return set(_facts(handed_over, "", root))


def _artifact_root(handed_over: dict[str, Any]) -> str:
    # Five names follow it: pipeline, run, task, execution and output.
    return handed_over["outputs"]["artifacts"]["executor-logs"]["artifacts"][0]["uri"].rsplit("/", 5)[0]


def _facts(value: Any, place: str, root: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield f"{place} has {' '.join(sorted(value))}" if not _chosen(place) else f"{place} is a mapping"
        for name, held in value.items():
            named = name in {"store_session_info", "display_name", "executor-logs"}
            yield from _facts(held, f"{place}.{name if named or not _chosen(place) else '*'}", root)
    elif isinstance(value, list):
        yield f"{place} is a list"
        for held in value:
            yield from _facts(held, f"{place}[]", root)
    else:
        yield f"{place} is {_described(value, place, root)}"


def _chosen(place: str) -> bool:
    """Tell whether the keys of the mapping at this place were chosen by a pipeline or a step."""
    last = place.rpartition(".")[2]
    return last in FREE_NAMES or place.endswith((".inputs.artifacts", ".outputs.artifacts")) or ".metadata.*." in place or place.count(".parameterValues.")


def _described(value: Any, place: str, root: str) -> str:
    if place.endswith((".schemaTitle", ".schemaVersion", ".instanceSchema")):
        return repr(value)
    if place.endswith(".uri") and isinstance(value, str):
        return re.sub(r"^ROOT/[^/]+/[0-9a-f-]{36}/[a-z0-9-]+/[0-9a-f-]{36}/[^/]+$", "ROOT/PIPELINE/RUN/TASK/EXECUTION/NAME", value.replace(root, "ROOT", 1))
    if place.endswith(".outputFile"):
        return "below the pod's own /tmp/kfp/outputs" if "/tmp/kfp/outputs/" in value else f"a file {value.rpartition('/')[2]}"
    if place.startswith(".inputs") and place.endswith("[].name"):
        return "a number as text" if str(value).isdigit() else repr(value)
    if place.endswith("store_session_info"):
        return " ".join(sorted(json.loads(value)))
    return type(value).__name__
