"""Default names for runs and experiments, derived from the model and the window of the run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from evergreen.storage.uris import is_nothing
from evergreen.submission.parameter_values import SCHEDULED, WINDOW_END

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

EXPERIMENT = "evergreen"
"""Experiment for runs of pipelines without a model."""

LONGEST_MODEL_NAME = 100


def effective_parameters(pipeline: GraphComponent, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's effective parameters: the given ones, with the pipeline's defaults for the others."""
    inputs = pipeline.component_spec.inputs or {}
    defaults = {name: spec.default for name, spec in inputs.items() if spec.default is not None}
    return {**defaults, **given}


def experiment_name(given: str | None, parameters: Mapping[str, Any]) -> str:
    """Return the requested experiment, or by default the model's, so that the KFP UI lists and compares the runs of one model.

    Args:
        given: The requested experiment; None if not specified.
        parameters: The run's parameters, including defaults.
    """
    return given or _model(parameters) or EXPERIMENT


def default_run_name(pipeline_name: str, parameters: Mapping[str, Any], *, now: datetime | None = None) -> str:
    """Name a run after model and window, such as ``rain 2026-11-29 (30 days) 03:00``; the time is that of the start.

    Args:
        pipeline_name: Name of the pipeline, used if it has no model.
        parameters: The run's parameters, including defaults.
        now: The current time.
    """
    present = now or datetime.now(timezone.utc)
    model = _model(parameters)
    if not model:
        return f"{pipeline_name} {present:%Y-%m-%d %H:%M:%S}"
    words = [model, _window_end(parameters, present), _length(parameters), f"{present:%H:%M}"]
    return " ".join(word for word in words if word)


def _model(parameters: Mapping[str, Any]) -> str:
    name = " ".join(str(parameters.get("model_name", "")).split())
    return "" if is_nothing(name) else name[:LONGEST_MODEL_NAME]


def _window_end(parameters: Mapping[str, Any], present: datetime) -> str:
    text = str(parameters.get(WINDOW_END, "")).strip()
    if is_nothing(text) or text.lower() == "latest" or text.lower().startswith(SCHEDULED) or "[[" in text:
        return f"{present:%Y-%m-%d}"
    if text.isdigit() and len(text) >= 8:
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    return text[:10]


def _length(parameters: Mapping[str, Any]) -> str:
    try:
        days = int(float(parameters["data_window_days"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
    return f"({days} day{'' if days == 1 else 's'})"
