"""Evergreen: Kubeflow Pipelines components and pipelines that keep a deployed model fresh.

Every component is an attribute of this package and is loaded on first access, so that importing the package is fast and
never imports ``kfp`` inside a running step.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evergreen.version import __version__

if TYPE_CHECKING:
    from evergreen.backtest.component import replay_policy, report_backtest
    from evergreen.deployment.component import deploy_model, load_champion, roll_back_model
    from evergreen.drift.component import detect_drift, merge_profiles, plan_shards, profile_shard
    from evergreen.evaluation.component import evaluate_model
    from evergreen.ingestion.component import ingest_data
    from evergreen.performance.component import batch_predict, join_labels, monitor_performance, read_feedback
    from evergreen.policy.component import assess_model, decide_retraining, watch_model
    from evergreen.registry.component import keep_champion
    from evergreen.reporting.component import record_run
    from evergreen.training.component import choose_candidate, plan_search, refit_model, score_candidates, train_model
    from evergreen.validation.component import validate_data

_ROOM_OF_COMPONENT = {
    "load_champion": "deployment",
    "ingest_data": "ingestion",
    "validate_data": "validation",
    "detect_drift": "drift",
    "monitor_performance": "performance",
    "batch_predict": "performance",
    "join_labels": "performance",
    "read_feedback": "performance",
    "decide_retraining": "policy",
    "assess_model": "policy",
    "watch_model": "policy",
    "train_model": "training",
    "evaluate_model": "evaluation",
    "refit_model": "training",
    "deploy_model": "deployment",
    "roll_back_model": "deployment",
    "keep_champion": "registry",
    "record_run": "reporting",
    "plan_shards": "drift",
    "profile_shard": "drift",
    "merge_profiles": "drift",
    "plan_search": "training",
    "score_candidates": "training",
    "choose_candidate": "training",
    "replay_policy": "backtest",
    "report_backtest": "backtest",
}

__all__ = [
    "__version__",
    "assess_model",
    "batch_predict",
    "choose_candidate",
    "decide_retraining",
    "deploy_model",
    "detect_drift",
    "evaluate_model",
    "ingest_data",
    "join_labels",
    "keep_champion",
    "load_champion",
    "merge_profiles",
    "monitor_performance",
    "plan_search",
    "plan_shards",
    "profile_shard",
    "read_feedback",
    "record_run",
    "refit_model",
    "replay_policy",
    "report_backtest",
    "roll_back_model",
    "score_candidates",
    "train_model",
    "validate_data",
    "watch_model",
]


def __getattr__(name: str) -> Any:
    """Load a component on first access (PEP 562)."""
    room = _ROOM_OF_COMPONENT.get(name)
    if room is None:
        raise AttributeError(f"module 'evergreen' has no attribute {name!r}. Valid components: {', '.join(_ROOM_OF_COMPONENT)}.")
    return getattr(import_module(f"evergreen.{room}.component"), name)


def __dir__() -> list[str]:
    return __all__
