"""Bringing what serves requests to the champion that the ledger names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.targets import RegistryTarget, open_targets
from evergreen.registry.champion import open_ledger
from evergreen.registry.head import keep_head_noted
from evergreen.registry.record import NO_CHAMPION
from evergreen.registry.semantic_version import SEMANTIC_VERSION
from evergreen.registry.versions import APPROVAL_TAG, SEMANTIC_VERSION_TAG, ModelRegistry

if TYPE_CHECKING:
    from evergreen.deployment.targets import ServingTarget
    from evergreen.registry.ledger import Ledger

DEFAULT_TARGETS = "default"


def serve_champion(version: str, *, registry: ModelRegistry, ledger: Ledger | None, targets: list[ServingTarget]) -> str:
    """Bring every target to the champion: this version, or the one that took its place while this step slept.

    Returns:
        The version that is served now.

    Raises:
        DeploymentError: A target does not serve it.
        StateError: The server or the ledger cannot be used.
    """
    while True:
        failure = _finish_targets(version, targets)
        named = ledger.champion() if ledger else version
        if named == version:
            break
        version = named
    if failure is not None:
        raise failure
    registry.clear_tag(version, APPROVAL_TAG)
    if ledger is not None:
        promotion = ledger.promotion_of(version)
        if promotion is not None and SEMANTIC_VERSION in promotion.evidence:
            registry.tag_version(version, SEMANTIC_VERSION_TAG, str(promotion.evidence[SEMANTIC_VERSION]))
        keep_head_noted(registry, ledger)
    return version


def is_served(version: str, targets: list[ServingTarget]) -> bool:
    """Return whether every target is seen to serve this version and no other."""
    return all(target.observe() == {version: 1.0} for target in targets)


def targets_named(names: str, ledger: Ledger) -> str:
    """Return the serving targets that a parameter names; ``default`` stands for those that the champion was promoted to."""
    if names.strip() != DEFAULT_TARGETS:
        return names
    change = next((record for record in ledger.newest_first() if record.changed_champion()), None)
    return str(change.evidence.get("targets", RegistryTarget.name)) if change else RegistryTarget.name


def reconcile_targets(*, model_name: str, tracking_uri: str, ledger_uri: str) -> list[str]:
    """Bring back to the champion whatever serves another version: where a deployment was killed, or a late one flipped a pointer.

    The targets are those that the champion's own promotion or rollback named.

    Returns:
        Names of the targets that served something else.

    Raises:
        DeploymentError: A target does not serve the champion now.
        StateError: The server, the ledger or a target cannot be used.
    """
    ledger = open_ledger(ledger_uri, model_name)
    champion = ledger.champion() if ledger else NO_CHAMPION
    if ledger is None or champion == NO_CHAMPION:
        return []
    registry = ModelRegistry(tracking_uri, model_name)
    targets = open_targets(targets_named(DEFAULT_TARGETS, ledger), registry)
    astray = [target for target in targets if not is_served(champion, [target])]
    if astray:
        serve_champion(champion, registry=registry, ledger=ledger, targets=astray)
    return [target.name for target in astray]


def _finish_targets(version: str, targets: list[ServingTarget]) -> DeploymentError | None:
    try:
        for target in targets:
            target.finish(version)
    except DeploymentError as error:
        return error
    return None
