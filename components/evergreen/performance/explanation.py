"""How much of a loss of performance the drift of the inputs explains; what it does not explain is a changed relation between inputs and label.

If only the inputs changed, a model scores on reference rows that are weighted to look like the window as it does on the window itself (Shimodaira,
Improving predictive inference under covariate shift by weighting the log-likelihood function, Journal of Statistical Planning and Inference 90,
2000; Sugiyama, Krauledat and Müller, Covariate shift adaptation by importance weighted cross validation, Journal of Machine Learning Research 8,
2007). The champion was fitted on its reference rows and scores too high on them, so models of its recipe are fitted on parts of the reference and
scored on the rest, and only the *difference* between their weighted and unweighted score counts. See `evergreen.performance.importance_weights`
for the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.artifacts import is_present, read_frame
from evergreen.errors import EvergreenError
from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.metrics.prediction_errors import error_sizes, mean_error_name
from evergreen.metrics.predictions import Predictions, ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.performance.draw_scores import draw_scores
from evergreen.results.performance import LossExplanation

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from evergreen.data.artifacts import ModelDescription
    from evergreen.performance.importance_weights import ImportanceWeights
    from evergreen.results.performance import PerformanceResult

    Array = np.ndarray[Any, Any]
    Scores = Callable[[list[Array]], Array]

REFERENCE_ROWS = 5000
WINDOW_ROWS = 2500
FEWEST_REFERENCE_ROWS = 200
FEWEST_WINDOW_ROWS = 50
FOLDS = 5
DRAWS = 200
IMPORTANT = 0.01
"""Smallest share of the importance that makes a feature worth weighing by; each of the others would only make the weights less certain."""
PART = 0.2
"""Share of a loss below which a part of it is not worth naming, even if it is significant."""


@dataclass(frozen=True)
class _Loss:
    """A loss since the promotion: how it is called, its size and standard error, and the scores of draws in its unit; higher is better."""

    measure: str
    size: float
    error: float
    scores: Callable[[Predictions], Scores]


class _UnexplainedError(Exception):
    """The explanation is not possible; the message says why."""


def with_explanation(result: PerformanceResult, rows: pd.DataFrame, description: ModelDescription, reference: Any, *, seed: int) -> PerformanceResult:
    """Return the result with an explanation of the loss, if there is one: a degraded score, or larger errors. Otherwise, nothing is computed.

    Args:
        result: The result, with score and errors.
        rows: The scored rows.
        description: Description of the champion.
        reference: Artifact of the rows that the champion was fitted on; may be None or absent.
        seed: Random seed.
    """
    loss = _loss_of(result, description.task)
    if loss is None:
        return result
    try:
        return replace(result, explained=_explain(loss, rows, description, reference, seed=seed))
    except (_UnexplainedError, EvergreenError) as error:
        # A diagnosis that fails must not stop the run that it is about.
        why = str(error).rstrip(".")
        told = f"Cannot tell how much of the loss the inputs' drift explains, because {why}."
        return replace(result, explained=LossExplanation("cannot tell", told, reason=why, measure=loss.measure, loss=loss.size))


def _loss_of(result: PerformanceResult, task: str) -> _Loss | None:
    if result.verdict == "degraded" and result.drop is not None and result.drop_lower is not None and result.drop_upper is not None:
        metric = resolve_metric(result.metric, task)
        error = (result.drop_upper - result.drop_lower) / (2 * NORMAL_QUANTILE)
        return _Loss("score", result.drop, error, lambda said: lambda draws: draw_scores(metric, said, draws))
    errors = result.errors
    if errors is None or errors.verdict != "changed" or not errors.worse or errors.mean_now is None or errors.mean_before is None:
        return None
    name = mean_error_name(errors.measure)
    now, before = (_mean_error(errors.edges, counts) for counts in (errors.now, errors.before))
    return _Loss(name, errors.mean_now - errors.mean_before, math.hypot(now, before), _negative_error)


def _mean_error(edges: list[float], counts: list[int]) -> float:
    """Return the standard error of a mean absolute error from its histogram."""
    if not edges or not sum(counts):
        return 0.0
    middles = np.abs((np.array(edges[1:]) + np.array(edges[:-1])) / 2)
    mean = np.average(middles, weights=counts)
    return float(np.sqrt(np.average((middles - mean) ** 2, weights=counts) / sum(counts)))


def _negative_error(said: Predictions) -> Scores:
    errors = -error_sizes(said)
    return lambda draws: np.array([errors[draw].mean() for draw in draws])


def _explain(loss: _Loss, rows: pd.DataFrame, description: ModelDescription, reference: Any, *, seed: int) -> LossExplanation:
    from evergreen.performance.importance_weights import importance_weights

    known = _labelled_reference(reference, description, seed=seed)
    if len(rows) < FEWEST_WINDOW_ROWS:
        raise _UnexplainedError(f"{len(rows)} scored rows are too few; {FEWEST_WINDOW_ROWS} are needed")
    missing = [name for name in description.features if name not in rows.columns]
    if missing:
        raise _UnexplainedError(f"the scored rows lack the feature {missing[0]!r}")
    window = rows if len(rows) <= WINDOW_ROWS else rows.sample(WINDOW_ROWS, random_state=seed)
    features = _important(description)
    weights = importance_weights(known, window, features, seed=seed)
    if weights.problem:
        raise _UnexplainedError(weights.problem)
    expected, error = _expected_loss(loss.scores(out_of_sample(known, description)), weights, seed=seed)
    return _told(loss, expected, error, rows=len(known), effective_rows=weights.effective_rows, window_rows=len(window), features=len(features))


def _labelled_reference(reference: Any, description: ModelDescription, *, seed: int) -> pd.DataFrame:
    from evergreen.drift.profile.file import is_profile

    if not is_present(reference):
        raise _UnexplainedError("the champion's reference data was not given")
    if is_profile(reference.path):
        raise _UnexplainedError("of the champion's reference data only the profile is known, and labels are needed")
    frame = read_frame(reference.path)
    needed = [*description.features, description.target_column, description.timestamp_column]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise _UnexplainedError(f"the champion's reference data has no column {missing[0]!r}")
    known = frame[frame[description.target_column].notna()]
    if len(known) < FEWEST_REFERENCE_ROWS:
        raise _UnexplainedError(f"{len(known)} labelled reference rows are too few; {FEWEST_REFERENCE_ROWS} are needed")
    sample = known if len(known) <= REFERENCE_ROWS else known.sample(REFERENCE_ROWS, random_state=seed)
    return sample.sort_values(description.timestamp_column, kind="stable").reset_index(drop=True)


def _important(description: ModelDescription) -> dict[str, str]:
    importances = {name: max(0.0, description.importances.get(name) or 0.0) for name in description.features}
    total = sum(importances.values())
    return {name: kind for name, kind in description.features.items() if not total or importances[name] >= IMPORTANT * total}


def out_of_sample(known: pd.DataFrame, description: ModelDescription) -> Predictions:
    """Return predictions for labelled rows, each by a model of the champion's recipe that was fitted without its part of the rows' time.

    The recipe's stand-in is the default estimator where the recipe is a trainer of the user's own, whose cost is unknown.

    Args:
        known: Labelled rows in time order.
        description: Description of the champion.

    Raises:
        ScoringError: No such model can be fitted.
        ArtifactError: A column holds values of another kind.
    """
    from evergreen.data.columns import prepare_features, prepare_labels
    from evergreen.models.threads import fitting_threads
    from evergreen.settings.function_path import is_function_path
    from evergreen.training.errors import TrainingError
    from evergreen.training.fit import fit_recipe
    from evergreen.training.recipe import Recipe, estimator_path

    own, classes = is_function_path(description.estimator), list(description.classes)
    path, hyperparameters = (estimator_path("auto", description.task), {}) if own else (description.estimator, description.hyperparameters)
    recipe = Recipe(description.task, path, hyperparameters, description.seed, options=description.training_options)
    labels = prepare_labels(known[description.target_column], classes)
    predicted, probabilities = np.empty_like(labels), np.zeros((len(known), len(classes)))
    probable = bool(classes)
    for part in np.array_split(np.arange(len(known)), FOLDS):
        held, rest = known.take(part), known.take(np.setdiff1d(np.arange(len(known)), part))
        try:
            pipeline = fit_recipe(recipe, rest, target_column=description.target_column, features=description.features, classes=classes).pipeline
        except TrainingError as error:
            raise ScoringError(f"no model of the champion's recipe could be fitted on part of the reference: {error}") from error
        features = prepare_features(held, description.features)
        with fitting_threads(*features.shape):
            predicted[part] = pipeline.predict(features)
            probable = probable and hasattr(pipeline, "predict_proba")
            if probable:
                places = [classes.index(label) for label in np.asarray(pipeline.classes_).tolist()]
                probabilities[np.ix_(part, places)] = pipeline.predict_proba(features)
    return Predictions(labels, predicted, probabilities if probable else None, classes)


def _expected_loss(scores: Scores, weights: ImportanceWeights, *, seed: int) -> tuple[float, float]:
    """Return how much lower the weighted score is than the unweighted one, and the standard error.

    Draws of as many rows as the weighted ones are worth have the score's expectation, and its spread, whatever the metric.
    """
    random = np.random.default_rng(seed)
    total, size = len(weights.weights), round(weights.effective_rows)
    shares = weights.weights / weights.weights.sum()
    usual, weighted = (scores([random.choice(total, size, p=chances) for _ in range(DRAWS)]) for chances in (None, shares))
    usual, weighted = (found[np.isfinite(found)] for found in (usual, weighted))
    if min(len(usual), len(weighted)) < DRAWS / 2:
        raise _UnexplainedError("the metric is not defined on most draws of so few reference rows")
    error = math.hypot(float(usual.std()) * math.sqrt(size / total), float(weighted.std()))
    return float(usual.mean() - weighted.mean()), error


def _told(loss: _Loss, expected: float, error: float, *, rows: int, effective_rows: float, window_rows: int, features: int) -> LossExplanation:
    rest, rest_error = loss.size - expected, math.hypot(loss.error, error)
    by_inputs = expected - NORMAL_QUANTILE * error > 0 and expected >= PART * loss.size
    by_relation = rest - NORMAL_QUANTILE * rest_error > 0 and rest >= PART * loss.size
    explained = LossExplanation(
        "both" if by_inputs and by_relation else "inputs" if by_inputs else "relation" if by_relation else "cannot tell",
        measure=loss.measure,
        loss=loss.size,
        loss_lower=loss.size - NORMAL_QUANTILE * loss.error,
        loss_upper=loss.size + NORMAL_QUANTILE * loss.error,
        explained=expected,
        explained_lower=expected - NORMAL_QUANTILE * error,
        explained_upper=expected + NORMAL_QUANTILE * error,
        unexplained=rest,
        unexplained_lower=rest - NORMAL_QUANTILE * rest_error,
        unexplained_upper=rest + NORMAL_QUANTILE * rest_error,
        reference_rows=rows,
        effective_rows=effective_rows,
        window_rows=window_rows,
        features=features,
    )
    return replace(explained, sentence=_sentence(explained), reason="the interval is too wide" if explained.verdict == "cannot tell" else "")


def _sentence(found: LossExplanation) -> str:
    loss, expected = found.loss or 0.0, found.explained or 0.0
    digits = max(0, 1 - math.floor(math.log10(abs(loss)))) if loss else 2
    subject = "The score fell" if found.measure == "score" else f"The {found.measure} rose"
    fell = f"{subject} by {loss:.{digits}f} since promotion"
    amount = "none of it" if round(expected, digits) <= 0 else f"{expected:.{digits}f} of it" if expected < loss else f"all of it ({expected:.{digits}f})"
    drift = f"the inputs' drift explains {amount}"
    if found.verdict == "relation":
        return f"{fell}; {drift}, so the relation between inputs and label changed (concept drift)."
    if found.verdict == "inputs":
        return f"{fell}; {drift}: the champion is weaker on rows like these, and the relation between inputs and label need not have changed (covariate shift)."
    if found.verdict == "both":
        rest = f"{found.unexplained or 0.0:.{digits}f}"
        return f"{fell}; {drift}, and {rest} remain: the inputs changed, and so did the relation between inputs and label (concept drift)."
    span = f"{found.explained_lower or 0.0:.{digits}f} to {found.explained_upper or 0.0:.{digits}f}"
    return f"{fell}; it cannot be told whether the inputs or their relation to the label changed, because the inputs' drift explains between {span} of it."
