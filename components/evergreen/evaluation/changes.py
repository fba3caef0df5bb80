"""What changed compared with the champion: how the two models were built, and which rows they predict differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.reporting.challenger_text import origin_words
from evergreen.reporting.page import Section, Table

if TYPE_CHECKING:
    from evergreen.data.artifacts import ModelDescription
    from evergreen.evaluation.prediction_pair import PredictionPair
    from evergreen.metrics.predictions import Predictions
    from evergreen.results.evaluation import Evaluation

MOST_NAMED = 20
LARGEST_SHIFTS = 5
DEFAULT, NONE = "the default", "none"


def describe_changes(ours: ModelDescription, theirs: ModelDescription) -> list[dict[str, str]]:
    """Return the differences between two models, each with ``what``, ``challenger`` and ``champion``; number and times of rows are always included.

    Args:
        ours: The challenger.
        theirs: The champion.
    """
    found = [
        _entry("Fitted on rows", f"{ours.rows:,}", f"{theirs.rows:,}"),
        _entry("Fitted on event times", *(f"{model.fit_start} up to {model.fit_end}" for model in (ours, theirs))),
    ]
    if "former champion" in (ours.origin, theirs.origin) or ours.origin != theirs.origin:
        found.insert(0, _entry("Origin", origin_words(ours), origin_words(theirs)))
    if ours.estimator != theirs.estimator:
        found.append(_entry("Estimator", ours.estimator, theirs.estimator))
    found += _differing("Hyperparameter", ours.hyperparameters, theirs.hyperparameters, absent=DEFAULT)
    found += _differing("Training option", ours.training_options, theirs.training_options, absent=DEFAULT)
    only_ours, only_theirs = (
        [name for name in one if name not in other] for one, other in ((ours.features, theirs.features), (theirs.features, ours.features))
    )
    if only_ours or only_theirs:
        found.append(_entry("Features missing from the other model", _named(only_ours), _named(only_theirs)))
    shared = [name for name in ours.features if name in theirs.features]
    found += _differing("Kind of feature", {name: ours.features[name] for name in shared}, {name: theirs.features[name] for name in shared}, absent=NONE)
    if ours.classes != theirs.classes:
        found.append(_entry("Classes", _named(ours.classes), _named(theirs.classes)))
    return found + _shifted_importances(ours.importances, theirs.importances)


def _shifted_importances(ours: dict[str, float], theirs: dict[str, float]) -> list[dict[str, str]]:
    """Return the features whose importance changed most."""
    shared = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    largest = sorted(shared, key=lambda name: -abs(ours[name] - theirs[name]))[:LARGEST_SHIFTS]
    return [_entry(f"Importance of {name}", f"{ours[name]:.4g}", f"{theirs[name]:.4g}") for name in largest]


def _differing(what: str, ours: dict[str, Any], theirs: dict[str, Any], *, absent: str) -> list[dict[str, str]]:
    names = sorted(name for name in {*ours, *theirs} if ours.get(name, absent) != theirs.get(name, absent))
    return [_entry(f"{what} {name}", str(ours.get(name, absent)), str(theirs.get(name, absent))) for name in names]


def _entry(what: str, challenger: str, champion: str) -> dict[str, str]:
    return {"what": what, "challenger": challenger, "champion": champion}


def _named(values: list[Any]) -> str:
    more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    return (", ".join(map(str, values[:MOST_NAMED])) + more) or NONE


def changes_section(evaluation: Evaluation, scored: PredictionPair | None) -> Section | None:
    """Return the report section about what changed; None without a champion.

    Args:
        evaluation: The evaluation.
        scored: Both models' predictions.
    """
    if not evaluation.changes:
        return None
    answers = [] if scored is None or scored.champion is None else [_answers(scored.challenger, scored.champion)]
    rows = [(entry["what"], entry["challenger"], entry["champion"]) for entry in evaluation.changes]
    return Section("What changed compared with the champion", paragraphs=answers, table=Table(["", "Challenger", "Champion"], rows))


def _answers(ours: Predictions, theirs: Predictions) -> str:
    rows = len(ours)
    if not len(ours.classes):
        closer = float(np.mean(np.abs(ours.predicted - ours.labels) < np.abs(theirs.predicted - theirs.labels)))
        apart = float(np.mean(np.abs(ours.predicted - theirs.predicted)))
        return f"The challenger is closer to the true value on {closer:.1%} of {rows:,} rows. The two predictions differ by {apart:.4g} on average."
    differ = ours.predicted != theirs.predicted
    mine, other = ours.predicted == ours.labels, theirs.predicted == theirs.labels
    gained, lost = int(np.sum(differ & mine)), int(np.sum(differ & other))
    words = f"The models differ on {int(differ.sum()):,} of {rows:,} rows ({differ.mean():.1%}): the challenger is right on {gained:,} of them, "
    return f"{words}the champion on {lost:,}, neither on {int(differ.sum()) - gained - lost:,}."
