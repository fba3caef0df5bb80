"""Comparison of challenger and champion on the same unseen rows."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import read_frame
from evergreen.data.json_values import plain
from evergreen.errors import ArtifactError
from evergreen.evaluation.changes import describe_changes
from evergreen.evaluation.constant_baseline import naive_predictions
from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.gate import Gate, Ruling, missed_floors, rule_against_champion, rule_without_champion
from evergreen.evaluation.gate_checks import apply_checks, run_checks
from evergreen.evaluation.holdout_rows import ComparisonRows, challenger_predictions, comparison_rows, load_present, predictions_of
from evergreen.evaluation.paired_tests import analytic_test
from evergreen.evaluation.prediction_pair import PredictionPair
from evergreen.evaluation.servability import check_servability
from evergreen.metrics.prediction_errors import summarise_errors
from evergreen.metrics.predictions import Interval, Predictions, ScoringError
from evergreen.metrics.scoring import Metric, bootstrap_interval, paired_bootstrap, resolve_metric
from evergreen.models.recorded_predictions import as_requests
from evergreen.models.trust import ModelError
from evergreen.results.evaluation import Evaluation

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from evergreen.models.fitted import FittedModel

MOST_CHECK_ROWS = 200
FEWEST_ROWS = 2
FEWEST_ROWS_FOR_HIGHER_SCORE = 200
UNSURE = ("better", "better than a stale champion", "not better", "no champion", "cannot tell")
"""Conclusions that are unreliable when there are too few rows."""
OTHER_METRICS = {
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc"),
    "regression": ("neg_mean_absolute_error", "neg_root_mean_squared_error", "r2"),
}


def compare(challenger: Any, champion: Any, holdout_data: Any, *, metric: str, gate: Gate) -> tuple[Evaluation, PredictionPair | None]:
    """Score both models on rows that neither has seen, and make the gate's ruling.

    Args:
        challenger: The challenger's model artifact.
        champion: The champion's model artifact; may be absent.
        holdout_data: The holdout artifact.
        metric: ``auto`` or a scikit-learn scorer's name.
        gate: The gate.

    Returns:
        The evaluation, and the models' predictions when there were enough rows.

    Raises:
        EvaluationError: There is no challenger, the holdout lacks columns, or a name is unknown.
        ModelError: A model cannot be loaded.
    """
    ours = load_present(challenger)
    if ours is None:
        raise EvaluationError("challenger: the artifact contains no model. Pass the output of train_model to evaluate_model.")
    theirs = load_present(champion)
    rows = comparison_rows(read_frame(holdout_data.path), [ours] if theirs is None else [ours, theirs])
    version = str(champion.metadata.get("version", "unknown")) if theirs else "none"
    evaluation, scored = compare_models(ours, theirs, rows, metric=metric, gate=gate, champion_version=version)
    if scored is not None and evaluation.verdict == "promote":
        # This check starts a process, so only a challenger that passed everything else is tested for serving.
        served = check_servability(challenger.path, gate.settings.serving)
        evaluation.checks.extend(asdict(check) for check in served)
        _rule(evaluation, apply_checks(Ruling(evaluation.verdict, evaluation.conclusion, evaluation.reasons), served, when_unclear="reject"))
        evaluation.sentence = _sentence(evaluation)
    return evaluation, scored


def compare_models(
    ours: FittedModel, theirs: FittedModel | None, rows: ComparisonRows, *, metric: str, gate: Gate, champion_version: str
) -> tuple[Evaluation, PredictionPair | None]:
    """Score two models on rows that neither has seen, and make the gate's ruling, without testing whether the challenger can be served.

    Args:
        ours: The challenger.
        theirs: The champion, or None.
        rows: The rows.
        metric: ``auto`` or a scikit-learn scorer's name.
        gate: The gate.
        champion_version: The champion's version, or ``none``.

    Raises:
        EvaluationError: The metric is unknown, or a floor or slice refers to something that does not exist.
    """
    task = ours.description.task
    try:
        measure = resolve_metric(metric, task)
    except ScoringError as error:
        raise EvaluationError(f"evaluation_{error}") from error
    evaluation = Evaluation(
        verdict="reject",
        conclusion="cannot tell",
        task=task,
        metric=measure.name,
        margin=gate.margin,
        rows=len(rows.frame),
        rows_seen_by_champion=rows.seen,
        champion_version=champion_version,
        challenger_id=ours.description.challenger_id,
        reasons=[],
        holdout_window={"start": rows.start, "end": rows.end},
        importances=dict(ours.description.importances),
        changes=describe_changes(ours.description, theirs.description) if theirs else [],
        serving=gate.settings.serving.model_dump(),
        origin=ours.description.origin,
        former_version=ours.description.former_version,
        folds=2 if rows.forward else 1,
    )
    scored = _fill(evaluation, rows, ours, theirs, metric=measure, gate=gate)
    evaluation.sentence = _sentence(evaluation)
    return evaluation, scored


def _fill(evaluation: Evaluation, rows: ComparisonRows, ours: FittedModel, theirs: FittedModel | None, *, metric: Metric, gate: Gate) -> PredictionPair | None:
    few = len(rows.frame) < gate.minimum_rows
    if few:
        left_out = f"({rows.seen} older rows were left out)"
        needed = f"at least {gate.minimum_rows} are required."
        evaluation.reasons = [f"Only {len(rows.frame)} labelled rows are newer than the training data of both models {left_out}; {needed}"]
        if gate.settings.when_unclear == "reject" or len(rows.frame) < FEWEST_ROWS:
            return None
    target = ours.description.target_column
    predictions = challenger_predictions(ours, rows, target_column=target)
    _keep_check_rows(evaluation, rows.frame.iloc[rows.forward :], ours, predictions.predicted[rows.forward :])
    evaluation.errors = summarise_errors(predictions)
    scored = PredictionPair(predictions)
    try:
        naive = naive_predictions(predictions, metric_name=metric.name)
        interval = bootstrap_interval(metric, predictions, confidence=gate.confidence, resamples=gate.resamples, seed=gate.seed)
        evaluation.challenger_score, evaluation.challenger_lower, evaluation.challenger_upper = interval.score, interval.lower, interval.upper
        evaluation.naive_score = metric.score_rows(naive)
        evaluation.scores = _other_scores(predictions, evaluation.task)
        missed = missed_floors(gate, predictions, evaluation.task)
        alone = rule_without_champion(metric, _difference(metric, predictions, naive, gate), missed)
        if theirs is None:
            ruling = alone
        else:
            champion, trouble = _champion_predictions(evaluation, rows.frame, predictions, theirs, target_column=target)
            scored = PredictionPair(predictions, champion)
            ruling = (
                _unscorable(trouble, alone, gate) if champion is None else _against(evaluation, predictions, champion, metric=metric, gate=gate, missed=missed)
            )
        found = run_checks(ours, rows.frame, predictions, scored.champion, metric=metric, gate=gate)
        evaluation.checks = [asdict(check) for check in found.checks]
        evaluation.slices = [asdict(item) for item in found.slices]
        evaluation.calibration = found.calibration
        ruling = apply_checks(ruling, found.checks, when_unclear=gate.settings.when_unclear)
    except ScoringError as error:
        ruling = Ruling("reject", "cannot tell", [str(error)])
    # Overrides only unreliable conclusions: a missed floor or a failed check stands, however few rows there are.
    if few and ruling.conclusion in UNSURE and evaluation.challenger_score is not None:
        ruling = Ruling("promote", "cannot tell", [*evaluation.reasons, "The gate is configured to promote when the comparison is inconclusive."])
    _rule(evaluation, ruling)
    return scored


def _rule(evaluation: Evaluation, ruling: Ruling) -> None:
    evaluation.verdict, evaluation.conclusion, evaluation.reasons = ruling.verdict, ruling.conclusion, ruling.reasons


def _champion_predictions(
    evaluation: Evaluation, frame: pd.DataFrame, ours: Predictions, champion: FittedModel, *, target_column: str
) -> tuple[Predictions | None, str]:
    obstacle = _obstacle(ours, evaluation, target_column, champion)
    if obstacle:
        return None, f"{obstacle} They cannot be compared. Register the new model under a different name."
    try:
        said = predictions_of(champion, frame, target_column=target_column)
    except (ModelError, ArtifactError) as error:
        return None, f"The champion cannot be scored on the holdout: {error}"
    # Both models' labels come from the same column; the classes may differ if one model has seen a class that the other has not.
    return replace(said, labels=ours.labels), ""


def _unscorable(trouble: str, alone: Ruling, gate: Gate) -> Ruling:
    if not gate.settings.allow_unscorable_champion:
        return Ruling("reject", "cannot tell", [trouble])
    if alone.verdict == "promote":
        return Ruling("promote", "champion cannot be scored", [trouble, "The gate is configured to let a challenger that beats a constant replace it."])
    return Ruling("reject", alone.conclusion, [trouble, *alone.reasons])


def _against(evaluation: Evaluation, ours: Predictions, theirs: Predictions, *, metric: Metric, gate: Gate, missed: list[str]) -> Ruling:
    interval = bootstrap_interval(metric, theirs, confidence=gate.confidence, resamples=gate.resamples, seed=gate.seed)
    evaluation.champion_score, evaluation.champion_lower, evaluation.champion_upper = interval.score, interval.lower, interval.upper
    evaluation.champion_scores = _other_scores(theirs, evaluation.task)
    difference = _difference(metric, ours, theirs, gate)
    test = analytic_test(metric, ours, theirs, confidence=gate.confidence)
    if test is not None:
        evaluation.paired_test = asdict(test)
    if gate.settings.test == "analytic":
        if test is None:
            raise EvaluationError(
                f"policy_config: gate.test 'analytic' is not available for {metric.name}. Use accuracy, roc_auc with two classes, or gate.test bootstrap."
            )
        difference = test.interval
    evaluation.difference, evaluation.difference_lower, evaluation.difference_upper = difference.score, difference.lower, difference.upper
    scores = {"challenger_score": evaluation.challenger_score or 0.0, "naive_score": evaluation.naive_score or 0.0}
    constant = evaluation.origin == "constant baseline"
    # With a holdout as small as that of a recent change, the higher of two scores is the luckier one too often.
    enough = not constant and (evaluation.folds == 1 or len(ours) >= FEWEST_ROWS_FOR_HIGHER_SCORE)
    return rule_against_champion(metric, difference, gate, **scores, missed=missed, constant=constant, enough=enough)


def _obstacle(ours: Predictions, evaluation: Evaluation, target_column: str, champion: FittedModel) -> str:
    """Return why two models cannot be compared; empty if they can."""
    described = champion.description
    if described.task != evaluation.task:
        return f"The champion is for {described.task} and the challenger for {evaluation.task}."
    if described.target_column != target_column:
        return f"The champion predicts {described.target_column!r} and the challenger {target_column!r}."
    if {type(value) for value in described.classes} != {type(value) for value in ours.classes}:
        return f"The champion's classes are {described.classes[:5]} and the challenger's are {list(ours.classes)[:5]}; their types differ."
    return ""


def _difference(metric: Metric, ours: Predictions, theirs: Predictions, gate: Gate) -> Interval:
    return paired_bootstrap(metric, ours, theirs, confidence=gate.confidence, resamples=gate.resamples, seed=gate.seed)


def _other_scores(predictions: Predictions, task: str) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    for name in OTHER_METRICS[task]:
        # Undefined scores, for instance a ROC curve with one class, are left out, like every number that is not finite.
        with contextlib.suppress(ScoringError):
            scores[name] = resolve_metric(name, task).score_rows(predictions)
    return scores


def _keep_check_rows(evaluation: Evaluation, frame: pd.DataFrame, model: FittedModel, predicted: np.ndarray[Any, Any]) -> None:
    evaluation.check_rows = as_requests(frame[list(model.description.features)].head(MOST_CHECK_ROWS))
    evaluation.check_predictions = [plain(value) for value in predicted[:MOST_CHECK_ROWS]]


def _sentence(evaluation: Evaluation) -> str:
    opening = {"promote": "Promote the challenger", "reject": "Reject the challenger"}[evaluation.verdict]
    return f"{opening} ({evaluation.conclusion}; {evaluation.rows} rows). {' '.join(evaluation.reasons)}"
