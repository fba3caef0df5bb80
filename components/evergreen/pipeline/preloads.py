"""The modules that the steps of a pipeline import, so that they can be imported before the steps are forked.

Measured by `tests/benchmarks/local_runs.py --imports`: Evergreen's and library modules that a step loads on a typical day, with a champion in MLflow
and data in files. Modules that only some runs need (boto3, a trainer's library) are left to the step, and so is alibi-detect, which only one step imports,
and only if there is a champion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evergreen.pipeline.component import EXECUTOR_MODULE
from evergreen.pipeline.local_dag import in_order

EXECUTOR_NEEDS = ["kfp.dsl.executor", "evergreen.secrets.redaction", "evergreen.secrets.files", "evergreen.runs.records"]
"""Modules imported by Evergreen's executor, without the executor itself, which runs as the main module."""

_DATA = ["pandas", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.csv", "pyarrow.json", "evergreen.data.artifacts"]
_REGISTRY = [
    "mlflow",
    "sqlalchemy.dialects.sqlite",
    "alembic.config",
    "alembic.command",
    "evergreen.storage.tracking_client",
    "evergreen.storage.retries.transient_faults",
    "tenacity",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
]
_CHAMPION = [
    "evergreen.deployment.recorded_step",
    *_REGISTRY,
    "evergreen.registry.champion",
    "evergreen.deployment.cloud_target",
    "evergreen.deployment.targets",
    "evergreen.deployment.serving",
    "evergreen.deployment.approval",
    "evergreen.registry.semantic_version",
]
_INGESTION = [
    *_DATA,
    "evergreen.ingestion.recorded_step",
    "evergreen.ingestion.step",
    "evergreen.ingestion.sources.local",
    "evergreen.ingestion.window_history",
]
_PAGE = ["jinja2.ext", "evergreen.reporting.page"]
_FIGURES = [*_PAGE, "matplotlib.figure", "matplotlib.backends.backend_svg", "evergreen.reporting.figures"]
_CONTRACT = [*_DATA, "evergreen.validation.recorded_step", "evergreen.validation.step", "pandera.pandas", "pandera.strategies.pandas_strategies", *_PAGE]
_MODEL = [
    *_DATA,
    "evergreen.models.files",
    "evergreen.data.columns",
    "skops.io",
    "narwhals._pandas_like.namespace",
    "narwhals._interchange.dataframe",
    "mlflow.sklearn",
    "evergreen.models.threads",
    "threadpoolctl",
]
_SCORES = ["evergreen.metrics.scoring", "evergreen.metrics.resampling"]
_PROFILES = [*_DATA, "evergreen.drift.recorded_step", "evergreen.drift.step", "evergreen.drift.sharding"]
_DRIFT = [*_PROFILES, *_MODEL, "evergreen.drift.domain_classifier", "sklearn.ensemble", *_FIGURES]
_PERFORMANCE = [
    "evergreen.performance.recorded_step",
    "evergreen.performance.step",
    "evergreen.performance.monitoring",
    "evergreen.performance.report",
    *_MODEL,
    *_SCORES,
    *_FIGURES,
]
_DECISION = ["evergreen.policy.recorded_step", "evergreen.policy.step", *_PAGE]
_TRAINING = [
    "evergreen.training.challenger",
    "evergreen.training.step",
    *_MODEL,
    *_SCORES,
    *_REGISTRY,
    "mlflow.pyfunc",
    "sklearn.ensemble",
    "sklearn.compose",
    "evergreen.models.recorded_predictions",
]
_SEARCH = [*_TRAINING, "evergreen.training.search_shards", "evergreen.training.search_plan"]
_DEPLOYMENT = [*_CHAMPION, *_MODEL, "evergreen.deployment.promotion", "evergreen.deployment.challenger", "evergreen.evaluation.model_card"]

NEEDS: dict[str, list[str]] = {
    "ingestion.ingest_data": _INGESTION,
    "deployment.load_champion": _CHAMPION,
    "validation.validate_data": _CONTRACT,
    "drift.detect_drift": _DRIFT,
    "performance.monitor_performance": _PERFORMANCE,
    "policy.decide_retraining": _DECISION,
    "policy.assess_model": ["evergreen.policy.assessment", *_INGESTION, *_CHAMPION, *_CONTRACT, *_DRIFT, *_PERFORMANCE, *_DECISION],
    "policy.watch_model": [*_DRIFT, *_PERFORMANCE, *_DECISION],
    "training.train_model": _TRAINING,
    "evaluation.evaluate_model": [
        "evergreen.evaluation.comparison",
        "evergreen.evaluation.report",
        "evergreen.evaluation.model_card",
        "evergreen.evaluation.curves",
        *_MODEL,
        *_SCORES,
        *_FIGURES,
    ],
    "training.refit_model": _TRAINING,
    "deployment.deploy_model": _DEPLOYMENT,
    "deployment.roll_back_model": [*_CHAMPION, *_MODEL, "evergreen.deployment.rollback"],
    "registry.keep_champion": ["evergreen.registry.keeping", *_REGISTRY],
    "drift.plan_shards": [*_PROFILES, *_MODEL],
    "drift.profile_shard": _PROFILES,
    "drift.merge_profiles": _PROFILES,
    "training.plan_search": _SEARCH,
    "training.score_candidates": _SEARCH,
    "training.choose_candidate": _SEARCH,
    "performance.batch_predict": ["evergreen.performance.batch_prediction", *_MODEL],
    "performance.join_labels": ["evergreen.performance.label_report", *_DATA, *_PAGE],
    "performance.read_feedback": ["evergreen.performance.feedback", *_INGESTION],
    "backtest.replay_policy": ["evergreen.backtest.step", *_MODEL, *_SCORES],
    "backtest.report_backtest": ["evergreen.backtest.step", *_FIGURES],
    "reporting.record_run": ["evergreen.reporting.step", *_PAGE],
}
"""Modules by component, with the components in their usual order in a pipeline."""

FIRST_STEPS = 3
"""Number of steps whose modules are imported while the pipeline is being loaded."""


def needs_of(command: list[str]) -> list[str] | None:
    """Return the modules that a step imports, given its command; None if the command does not run Evergreen's executor."""
    if command[:3] != ["python3", "-m", EXECUTOR_MODULE]:
        return None
    component = command[3]
    room = component.rpartition(".")[0]
    return [*EXECUTOR_NEEDS, f"evergreen.{room}.component", *NEEDS.get(component, [])]


def first_needs(pipeline_file: Path) -> list[str]:
    """Return the modules of a pipeline's first steps, guessed from its source, because loading the pipeline takes a second or two.

    Args:
        pipeline_file: The pipeline's source. If it cannot be read, the result is empty; loading the pipeline reports the error.
    """
    try:
        text = pipeline_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    named = [component for component in NEEDS if re.search(rf"\b{component.rpartition('.')[2]}\b", text)]
    return [*EXECUTOR_NEEDS, *(module for component in named[:FIRST_STEPS] for module in NEEDS[component])] if named else []


def needs_in_order(spec: Mapping[str, Any]) -> list[str]:
    """Return the modules of the steps of a pipeline in execution order, without steps that may not run.

    Args:
        spec: The pipeline's specification as JSON.
    """
    modules = (name for command in _commands(spec, spec["root"]) for name in needs_of(command) or [])
    return list(dict.fromkeys(modules))


def _commands(spec: Mapping[str, Any], component: Mapping[str, Any]) -> Iterator[list[str]]:
    for _, task in in_order(component["dag"]["tasks"]):
        if "condition" in task.get("triggerPolicy", {}):
            continue
        inner = spec["components"][task["componentRef"]["name"]]
        if "dag" in inner:
            yield from _commands(spec, inner)
        elif "container" in (executor := spec["deploymentSpec"]["executors"][inner["executorLabel"]]):
            yield executor["container"].get("command", [])
