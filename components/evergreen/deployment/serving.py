"""Makes the serving targets serve the champion recorded in the ledger."""

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
    """Make every target serve the champion: this version, or the one that replaced it while this step was suspended.

    Returns:
        The version that is now served.

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
    """Return whether every target is observed to serve this version and no other."""
    return all(target.observe() == {version: 1.0} for target in targets)


def targets_named(names: str, ledger: Ledger) -> str:
    """Return the serving targets named in a parameter; ``default`` stands for those of the champion's promotion."""
    if names.strip() != DEFAULT_TARGETS:
        return names
    change = next((record for record in ledger.newest_first() if record.changed_champion()), None)
    return str(change.evidence.get("targets", RegistryTarget.name)) if change else RegistryTarget.name


def reconcile_targets(*, model_name: str, tracking_uri: str, ledger_uri: str) -> list[str]:
    """Make targets that serve another version serve the champion again, after a killed deployment or a late pointer change.

    The targets are those named in the champion's promotion or rollback.

    Returns:
        Names of the targets that served another version.

    Raises:
        DeploymentError: A target still does not serve the champion.
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
