"""Former champions of a model, as candidates for a promotion: where a relation returns (seasons, regimes), one of them may fit again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import ArtifactError
from evergreen.models.files import load_model
from evergreen.models.trust import ModelError
from evergreen.registry.champion import open_ledger
from evergreen.registry.errors import RegistryError
from evergreen.registry.record import NO_CHAMPION, PROMOTION, ROLLBACK
from evergreen.registry.versions import ModelRegistry
from evergreen.training.choice.candidates import FormerChampion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.data.artifacts import ModelDescription
    from evergreen.registry.ledger import Ledger

MOST_FORMER = 3


def read_former_champions(*, tracking_uri: str, ledger_uri: str, model_name: str, champion: ModelDescription) -> tuple[list[FormerChampion], list[str]]:
    """Return up to three former champions, newest first, and why others could not be read.

    A version that was rolled back is no candidate, and of several versions with the same model, only the newest one is.

    Args:
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger, or ``none``.
        model_name: Name of the registered model.
        champion: Description of the champion, which is left out.
    """
    ledger = open_ledger(ledger_uri, model_name)
    registry = ModelRegistry(tracking_uri, model_name)
    found: list[FormerChampion] = []
    problems: list[str] = []
    for version in _former_versions(ledger) if ledger is not None else []:
        try:
            with registry.fetched(version) as files:
                model = load_model(files)
        except (RegistryError, ModelError, ArtifactError) as error:
            # It was deleted, was registered by something else, or cannot be loaded any more: one candidate less.
            problems.append(f"version {version}: {error}")
            continue
        found = distinct_models([*found, FormerChampion(version, model)], champion)
        if len(found) == MOST_FORMER:
            break
    return found, problems


def distinct_models(former: Sequence[FormerChampion], champion: ModelDescription) -> list[FormerChampion]:
    """Return up to three former champions whose models differ from each other's and from the champion's.

    Args:
        former: Former champions, newest first.
        champion: Description of the champion.
    """
    found: list[FormerChampion] = []
    for one in former:
        if len(found) < MOST_FORMER and all(
            not same_model(one.model.description, other) for other in (champion, *(known.model.description for known in found))
        ):
            found.append(one)
    return found


def same_model(one: ModelDescription, other: ModelDescription) -> bool:
    """Return whether two descriptions are of the same fitted model, promoted as different versions."""
    return _fitted(one) == _fitted(other)


def _fitted(described: ModelDescription) -> tuple[object, ...]:
    return (
        described.estimator,
        described.hyperparameters,
        described.seed,
        described.fit_start,
        described.fit_end,
        described.rows,
        described.training_options,
        described.features,
    )


def _former_versions(ledger: Ledger) -> Sequence[str]:
    """Return the versions that were champion before, newest first, without those that were rolled back."""
    champion = ledger.champion()
    found: list[str] = []
    rolled_back: set[str] = set()
    for record in ledger.newest_first():
        if record.kind == ROLLBACK:
            rolled_back.add(record.version_before)
        elif record.kind == PROMOTION and record.version_after in rolled_back:
            # Where it was a former champion, promoted again, that version is the same model.
            rolled_back.add(str(record.evidence.get("former_version", "")))
        elif record.kind == PROMOTION and record.version_after not in (champion, NO_CHAMPION, *found, *rolled_back):
            found.append(record.version_after)
    return found
