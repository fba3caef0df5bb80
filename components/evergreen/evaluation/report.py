"""Outputs of the comparison: the report, the metrics and the step's record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, write_json, write_metrics
from evergreen.evaluation.checks import gravest_first
from evergreen.evaluation.evidence import evidence_sections
from evergreen.reporting.challenger_text import origin_words, pooled_sentence
from evergreen.reporting.page import Section, Table, render_page

if TYPE_CHECKING:
    from evergreen.evaluation.prediction_pair import PredictionPair
    from evergreen.results.evaluation import Evaluation
    from evergreen.runs.records import StepRecord


def write_outputs(
    evaluation: Evaluation,
    scored: PredictionPair | None,
    record: StepRecord,
    *,
    evaluation_artifact: Any,
    report_artifact: Any,
    curves_artifact: Any,
    metrics_artifact: Any,
) -> str:
    """Write all outputs of the comparison, fill in the step's record and return the verdict.

    Args:
        evaluation: The evaluation.
        scored: Both models' predictions, if there were enough rows.
        record: The step's record.
        evaluation_artifact: Output artifact for the evaluation as JSON.
        report_artifact: Output artifact for the report.
        curves_artifact: Output artifact for the ROC curve and confusion matrix.
        metrics_artifact: Output artifact for the scores.
    """
    from evergreen.evaluation.curves import log_curves

    write_json(evaluation_artifact.path, evaluation.to_json())
    evaluation_artifact.metadata.update(
        {PRESENT: True, "verdict": evaluation.verdict, "conclusion": evaluation.conclusion, "challenger_id": evaluation.challenger_id}
    )
    Path(report_artifact.path).parent.mkdir(parents=True, exist_ok=True)
    Path(report_artifact.path).write_text(evaluation_page(evaluation, scored), encoding="utf-8")
    if scored is not None:
        log_curves(curves_artifact, scored.challenger)
    write_json(
        curves_artifact.path,
        {"confidenceMetrics": curves_artifact.metadata.get("confidenceMetrics", []), "confusionMatrix": curves_artifact.metadata.get("confusionMatrix")},
    )
    write_metrics(metrics_artifact, decisive_numbers(evaluation))
    record.outcome = evaluation.verdict
    record.details = evaluation.without_rows()
    record.reports = {"evaluation_report": report_artifact.uri}
    return evaluation.verdict


def evaluation_page(evaluation: Evaluation, scored: PredictionPair | None = None) -> str:
    """Return the comparison as an HTML page, with plots of the models' predictions if given."""
    tone: Any = "good" if evaluation.verdict == "promote" else "warning" if evaluation.conclusion == "cannot tell" else "neutral"
    sections = [Section("Why", bullets=evaluation.reasons), _scores_section(evaluation)]
    if evaluation.checks:
        # Two columns, so that the finding can be read on a phone without scrolling.
        rows = [(f"{check['name']}: {check['verdict']}", check["sentence"]) for check in gravest_first(evaluation.checks)]
        sections.append(Section("Further checks", table=Table(["Check", "Finding"], rows)))
    sections.extend(evidence_sections(evaluation, scored))
    if evaluation.scores:
        scores = [(name, value, evaluation.champion_scores.get(name)) for name, value in evaluation.scores.items()]
        note = "Higher is better, even for names that start with neg."
        sections.append(Section("Other metrics", table=Table(["Metric", "Challenger", "Champion"], scores, note=note)))
    window = evaluation.holdout_window
    span = f"{window['start']} to {window['end']}" if window["start"] else "none"
    facts: list[tuple[str, str | int]] = [
        ("Rows compared", evaluation.rows),
        ("Rows left out because a model has seen them", evaluation.rows_seen_by_champion),
        ("Event times of the compared rows", span),
        ("Challenger", evaluation.challenger_id),
        ("Origin of the challenger", origin_words(evaluation)),
        ("Champion's version", evaluation.champion_version),
    ]
    sections.append(Section("What was compared", table=Table(["", ""], facts)))
    return render_page("Challenger against champion", evaluation.sentence, tone, sections)


def _scores_section(evaluation: Evaluation) -> Section:
    rows: list[list[str | float | None]] = [
        ["Challenger", evaluation.challenger_score, evaluation.challenger_lower, evaluation.challenger_upper],
        ["Champion", evaluation.champion_score, evaluation.champion_lower, evaluation.champion_upper],
        ["Difference", evaluation.difference, evaluation.difference_lower, evaluation.difference_upper],
        ["Constant baseline", evaluation.naive_score, None, None],
    ]
    shown = [row for row in rows if row[1] is not None]
    note = "Percentile bootstrap intervals; the difference is computed on the same resampled rows."
    test = evaluation.paired_test
    if test is not None:
        bounds = test["interval"]
        note += f" {test['name']}'s analytic interval of the difference: {bounds['lower']:.4g} to {bounds['upper']:.4g}, p = {test['p_value']:.3g}."
    if pooled := pooled_sentence(evaluation):
        note += f" {pooled}"
    if not shown:
        return Section("Scores", paragraphs=["There are no scores, because the rows were not sufficient."])
    return Section(f"Scores ({evaluation.metric})", table=Table(["Model", "Score", "Lower", "Upper"], shown, note=note), figure_svg=_figure(evaluation))


def _figure(evaluation: Evaluation) -> str | None:
    from evergreen.reporting.figures import interval_chart

    score, lower, upper = evaluation.difference, evaluation.difference_lower, evaluation.difference_upper
    if score is None or lower is None or upper is None:
        return None
    label = f"difference in {evaluation.metric}; dashed: the margin"
    return interval_chart(["Challenger minus champion"], [score], [lower], [upper], axis_label=label, threshold=evaluation.margin)


def decisive_numbers(evaluation: Evaluation) -> dict[str, float | None]:
    """Return the numbers that decide a promotion, by display name."""
    return {
        "challenger score": evaluation.challenger_score,
        "champion score": evaluation.champion_score,
        "difference": evaluation.difference,
        "difference lower bound": evaluation.difference_lower,
    }
