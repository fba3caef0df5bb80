"""Semantic versions of champions: what callers need to know about a promotion, in three numbers.

Major: the interface for callers changed (a feature is gone or has another type; a different task, label or classes).
Minor: new features, a different estimator, or different hyperparameters or training options. Patch: the same recipe on new data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain
from evergreen.registry.record import PROMOTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.data.artifacts import ModelDescription
    from evergreen.registry.ledger import Ledger

FIRST = "1.0.0"
MAJOR, MINOR, PATCH = range(3)
INTERFACE, RECIPE, SEMANTIC_VERSION = "interface", "recipe", "semantic_version"
"""Entries of a promotion's evidence."""


def described(description: ModelDescription) -> dict[str, Any]:
    """Return what later versions are compared with: the interface for callers and the recipe of the model."""
    interface = {
        "task": description.task,
        "target": description.target_column,
        "classes": sorted(map(str, description.classes)),
        "features": description.features,
    }
    recipe = {"estimator": description.estimator, "hyperparameters": description.hyperparameters, "training_options": description.training_options}
    return {INTERFACE: plain(interface), RECIPE: plain(recipe)}


def next_semantic_version(ledger: Ledger, evidence: Mapping[str, Any]) -> str:
    """Return the semantic version of a model that is about to be promoted; it is unique among promotions.

    Args:
        ledger: The model's ledger; its promotions contain the versions so far.
        evidence: Contains the return value of `described`.

    Raises:
        LedgerError: A record cannot be read.
    """
    champion = ledger.champion()
    used: set[str] = set()
    before: Mapping[str, Any] | None = None
    for record in ledger.newest_first():
        if record.kind == PROMOTION and SEMANTIC_VERSION in record.evidence:
            used.add(str(record.evidence[SEMANTIC_VERSION]))
            if before is None and record.version_after == champion:
                before = record.evidence
    if not used:
        return FIRST
    # A champion not described in the ledger may differ in any way.
    level = change(before, evidence) if before is not None else MAJOR
    found = str(before[SEMANTIC_VERSION]) if before is not None else max(used, key=_numbers)
    while found in used:
        found = bumped(found, level)
    return found


def change(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Return which of the three numbers a change from one model to another increments."""
    old, new = dict(before.get(INTERFACE) or {}), dict(after.get(INTERFACE) or {})
    old_features, new_features = dict(old.pop("features", {})), dict(new.pop("features", {}))
    if old != new or any(new_features.get(name) != kind for name, kind in old_features.items()):
        return MAJOR
    return MINOR if old_features != new_features or before.get(RECIPE) != after.get(RECIPE) else PATCH


def bumped(version: str, level: int) -> str:
    """Return a version with one of its numbers incremented and those after it set to 0."""
    numbers = _numbers(version)
    return ".".join(str(number + 1 if place == level else number if place < level else 0) for place, number in enumerate(numbers))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
