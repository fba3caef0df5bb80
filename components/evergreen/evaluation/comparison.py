"""Challenger against champion on the same unseen rows."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.errors import ArtifactError
from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.gate import GateSettings, Ruling, missed_floors, rule_against_champion, rule_without_champion
from evergreen.evaluation.holdout_rows import ComparisonRows, comparison_rows, load_present, predictions_of
from evergreen.evaluation.naive import naive_predictions
from evergreen.models import FittedModel, ModelError
from evergreen.run_log import plain
from evergreen.scoring import Interval, Metric, Predictions, ScoringError, bootstrap_interval, paired_bootstrap, resolve_metric

if TYPE_CHECKING:
    import pandas as pd

MOST_CHECK_ROWS = 200
OTHER_METRICS = {
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc"),
    "regression": ("neg_mean_absolute_error", "neg_root_mean_squared_error", "r2"),
}


@dataclass
class Evaluation:
    """What the comparison found; its fields are those of the evaluation artifact.

    A score that could not be measured is None. Higher is better in every metric.
    """

    verdict: str
    conclusion: str
    task: str
    metric: str
    margin: float
    rows: int
    rows_seen_by_champion: int
    champion_version: str
    challenger_id: str
    reasons: list[str]
    holdout_window: dict[str, str]
    sentence: str = ""
    higher_is_better: bool = True
    challenger_score: float | None = None
    challenger_lower: float | None = None
    challenger_upper: float | None = None
    champion_score: float | None = None
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None
    naive_score: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    check_rows: list[dict[str, Any]] = field(default_factory=list)
    check_predictions: list[Any] = field(default_factory=list)

    def without_rows(self) -> dict[str, Any]:
        """Return the evaluation as plain values without the check rows, as a step's record keeps it."""
        content: dict[str, Any] = plain({name: value for name, value in asdict(self).items() if not name.startswith("check_")})
        return content


def compare(challenger: Any, champion: Any, holdout_data: Any, *, metric: str, settings: GateSettings) -> tuple[Evaluation, Predictions | None]:
    """Score both models on the rows that neither has seen, and rule.

    Args:
        challenger: The challenger's model artifact.
        champion: The champion's model artifact; may be absent.
        holdout_data: The holdout artifact.
        metric: ``auto`` or a scikit-learn scorer's name.
        settings: The gate's settings.

    Returns:
        The evaluation, and the challenger's predictions when there were enough rows.

    Raises:
        EvaluationError: There is no challenger, or the holdout lacks columns, or a name is wrong.
        ModelError: A model cannot be loaded.
    """
    ours = load_present(challenger)
    if ours is None:
        raise EvaluationError("challenger: the artifact holds no model. Give evaluate_model the output of train_model.")
    theirs = load_present(champion)
    rows = comparison_rows(holdout_data, [ours] if theirs is None else [ours, theirs])
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
        margin=settings.margin,
        rows=len(rows.frame),
        rows_seen_by_champion=rows.seen,
        champion_version=str(champion.metadata.get("version", "unknown")) if theirs else "none",
        challenger_id=ours.description.challenger_id,
        reasons=[],
        holdout_window={"start": rows.start, "end": rows.end},
    )
    predictions = _fill(evaluation, rows, ours, theirs, metric=measure, settings=settings)
    evaluation.sentence = _sentence(evaluation)
    return evaluation, predictions


def _fill(
    evaluation: Evaluation, rows: ComparisonRows, ours: FittedModel, theirs: FittedModel | None, *, metric: Metric, settings: GateSettings
) -> Predictions | None:
    if len(rows.frame) < settings.minimum_rows:
        left_out = f"({rows.seen} older ones were left out)"
        needed = f"at least {settings.minimum_rows} are needed to tell."
        evaluation.reasons = [f"Only {len(rows.frame)} labelled rows are newer than what both models have seen {left_out}; {needed}"]
        return None
    target = ours.description.target_column
    predictions = predictions_of(ours, rows.frame, target_column=target)
    _keep_check_rows(evaluation, rows.frame, ours, predictions)
    try:
        naive = naive_predictions(predictions, metric_name=metric.name)
        interval = bootstrap_interval(metric, predictions, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed)
        evaluation.challenger_score, evaluation.challenger_lower, evaluation.challenger_upper = interval.score, interval.lower, interval.upper
        evaluation.naive_score = metric.score_rows(naive)
        evaluation.scores = _other_scores(predictions, evaluation.task)
        missed = missed_floors(settings, predictions, evaluation.task)
        if theirs is None:
            ruling = rule_without_champion(metric, _difference(metric, predictions, naive, settings), missed)
        else:
            ruling = _against(evaluation, rows.frame, predictions, theirs, metric=metric, settings=settings, target_column=target, missed=missed)
    except ScoringError as error:
        ruling = Ruling("reject", "cannot tell", [str(error)])
    evaluation.verdict, evaluation.conclusion, evaluation.reasons = ruling.verdict, ruling.conclusion, ruling.reasons
    return predictions


def _against(
    evaluation: Evaluation,
    frame: pd.DataFrame,
    ours: Predictions,
    champion: FittedModel,
    *,
    metric: Metric,
    settings: GateSettings,
    target_column: str,
    missed: list[str],
) -> Ruling:
    obstacle = _obstacle(ours, evaluation, target_column, champion)
    if obstacle:
        return Ruling("reject", "cannot tell", [f"{obstacle} They cannot be compared; register the new model under another name."])
    try:
        said = predictions_of(champion, frame, target_column=target_column)
    except (ModelError, ArtifactError) as error:
        return Ruling("reject", "cannot tell", [f"The champion cannot be scored on the holdout: {error}"])
    # Both models' labels come from the same column; the classes may differ when one has seen a class the other has not.
    theirs = Predictions(labels=ours.labels, predicted=said.predicted, probabilities=said.probabilities, classes=said.classes)
    evaluation.champion_score = metric.score_rows(theirs)
    difference = _difference(metric, ours, theirs, settings)
    evaluation.difference, evaluation.difference_lower, evaluation.difference_upper = difference.score, difference.lower, difference.upper
    return rule_against_champion(
        metric, difference, settings, challenger_score=evaluation.challenger_score or 0.0, naive_score=evaluation.naive_score or 0.0, missed=missed
    )


def _obstacle(ours: Predictions, evaluation: Evaluation, target_column: str, champion: FittedModel) -> str:
    """Return why two models answer different questions, or nothing."""
    described = champion.description
    if described.task != evaluation.task:
        return f"The champion is for {described.task} and the challenger for {evaluation.task}."
    if described.target_column != target_column:
        return f"The champion predicts {described.target_column!r} and the challenger {target_column!r}."
    if {type(value) for value in described.classes} != {type(value) for value in ours.classes}:
        return f"The champion's classes are {described.classes[:5]} and the challenger's {list(ours.classes)[:5]}: they are of different types."
    return ""


def _difference(metric: Metric, ours: Predictions, theirs: Predictions, settings: GateSettings) -> Interval:
    return paired_bootstrap(metric, ours, theirs, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed)


def _other_scores(predictions: Predictions, task: str) -> dict[str, float]:
    scores = {}
    for name in OTHER_METRICS[task]:
        # Not defined here, for instance a ROC curve with one class: absent, as every number that is not finite.
        with contextlib.suppress(ScoringError):
            scores[name] = resolve_metric(name, task).score_rows(predictions)
    return scores


def _keep_check_rows(evaluation: Evaluation, frame: pd.DataFrame, model: FittedModel, predictions: Predictions) -> None:
    features = frame[list(model.description.features)].head(MOST_CHECK_ROWS)
    # Through JSON's own types: times become ISO text, missing values null.
    columns = {name: [None if missing else _plain(value) for value, missing in zip(column, column.isna(), strict=True)] for name, column in features.items()}
    evaluation.check_rows = [{str(name): values[index] for name, values in columns.items()} for index in range(len(features))]
    evaluation.check_predictions = [plain(value) for value in predictions.predicted[:MOST_CHECK_ROWS]]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else plain(value) if isinstance(plain(value), (bool, int, float, str)) else str(value)


def _sentence(evaluation: Evaluation) -> str:
    opening = {"promote": "Promote the challenger", "reject": "Reject the challenger"}[evaluation.verdict]
    return f"{opening} ({evaluation.conclusion}; {evaluation.rows} rows). {' '.join(evaluation.reasons)}"
