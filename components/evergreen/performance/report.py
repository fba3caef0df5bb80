"""Outputs of performance monitoring: the report, the metrics and the step's record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, write_json, write_metrics
from evergreen.data.json_values import plain
from evergreen.performance.probe_report import new_model_section
from evergreen.performance.slice_scores import SCORED
from evergreen.performance.watched_rows import LOG
from evergreen.reporting.figures import interval_chart, overlaid_histograms
from evergreen.reporting.page import Section, Table, render_page

if TYPE_CHECKING:
    from evergreen.performance.request import MonitoringOutputs
    from evergreen.results.performance import LossExplanation, PerformanceResult, SliceResult, UnlabelledComparison
    from evergreen.runs.records import StepRecord

TONES: dict[str, Any] = {"holds": "good", "degraded": "bad", "cannot tell": "warning", "no champion": "neutral"}


def write_outputs(performance: PerformanceResult, record: StepRecord, outputs: MonitoringOutputs) -> str:
    """Write all outputs, fill in the step's record and return the verdict.

    Args:
        performance: The performance.
        record: The step's record.
        outputs: Output artifacts.
    """
    content = performance.to_json()
    write_json(outputs.performance_result.path, content)
    outputs.performance_result.metadata.update({PRESENT: True, "verdict": performance.verdict})
    report = Path(outputs.performance_report.path)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(performance_page(performance), encoding="utf-8")
    record.outcome = performance.verdict
    record.details = plain(content)
    write_metrics(
        outputs.metrics,
        {"champion score now": performance.score, "champion score at promotion": performance.baseline_score, "drop since promotion": performance.drop},
    )
    record.reports = {"performance_report": outputs.performance_report.uri}
    return performance.verdict


def performance_page(performance: PerformanceResult) -> str:
    """Render the champion's performance as an HTML page."""
    explained = explanation_section(performance.explained) if performance.explained else None
    sections = [
        _scores(performance),
        new_model_section(performance),
        explained,
        _estimate(performance),
        _slices(performance),
        _errors(performance),
        _unlike(performance),
        _rows(performance),
    ]
    return render_page(
        "Performance of the champion", performance.sentence, TONES[performance.verdict], [section for section in sections if section is not None]
    )


def _scores(performance: PerformanceResult) -> Section | None:
    if performance.baseline_score is None:
        return None
    rows: list[list[str | float | None]] = [
        ["At promotion", performance.baseline_score, performance.baseline_lower, performance.baseline_upper],
        ["Now", performance.score, performance.lower, performance.upper],
        ["Drop since promotion", performance.drop, performance.drop_lower, performance.drop_upper],
    ]
    drawn = [(name, score, lower, upper) for name, score, lower, upper in rows[:2] if None not in (score, lower, upper)]
    estimate = performance.estimate
    if estimate is not None and estimate.available:
        drawn.append(("Estimate, no labels", estimate.score, estimate.lower, estimate.upper))
    figure = interval_chart(*map(list, zip(*drawn, strict=True)), axis_label=performance.metric) if drawn else None
    note = (
        "95 % bootstrap intervals. The interval of the drop accounts for the uncertainty of both scores. "
        "The decision compares the score now with the one expected from the champion's track record: the promotion and the windows since."
    )
    return Section(f"Scores ({performance.metric})", table=Table(["", "Score", "Lower", "Upper"], rows, note=note), figure_svg=figure)


def explanation_section(explained: LossExplanation) -> Section:
    """Return a section on how much of a loss the drift of the inputs explains."""
    heading = "Inputs, or their relation to the label"
    if explained.explained is None:
        return Section(heading, [explained.sentence])
    rows: list[list[str | float | None]] = [
        ["Loss since promotion", explained.loss, explained.loss_lower, explained.loss_upper],
        ["Explained by the inputs' drift", explained.explained, explained.explained_lower, explained.explained_upper],
        ["Not explained by it", explained.unexplained, explained.unexplained_lower, explained.unexplained_upper],
    ]
    note = (
        f"Of the {explained.measure}, with 95 % intervals. Models of the champion's recipe were scored on {explained.reference_rows:,} reference rows that "
        f"they were not fitted on: once as they are, and once weighted by {explained.features:,} features to look like {explained.window_rows:,} rows of "
        f"the window. The weighted rows are as informative as {explained.effective_rows or 0.0:,.0f} rows."
    )
    return Section(heading, [explained.sentence], table=Table(["", "Size", "Lower", "Upper"], rows, note=note))


def _estimate(performance: PerformanceResult) -> Section | None:
    estimate = performance.estimate
    if estimate is None:
        return None
    if not estimate.available:
        return Section("Estimate without labels", [estimate.sentence])
    rows: list[list[str | float | None]] = [
        ["Estimate", estimate.score, estimate.lower, estimate.upper],
        ["Estimated drop", estimate.drop, estimate.drop_lower, estimate.drop_upper],
    ]
    note = f"An estimate, not a measurement. Expected calibration error at promotion: {estimate.calibration_error or 0.0:.3g}."
    return Section("Estimate without labels", [estimate.sentence], table=Table(["", "Score", "Lower", "Upper"], rows, note=note))


def _slices(performance: PerformanceResult) -> Section | None:
    if not performance.slices:
        return None
    rows = [(part.name, part.rows, part.score, part.lower, part.upper, "" if part.verdict == SCORED else part.verdict) for part in performance.slices]
    note = "Worst slice first. Intervals are corrected for the number of slices (Bonferroni)."
    table = Table(["Slice", "Rows", "Score", "Lower", "Upper", ""], rows, note=note)
    return Section("Slices", [worst_sentence(performance.worst_slice, performance.metric, performance.score)], table=table)


def worst_sentence(worst: SliceResult | None, metric: str, score: float | None) -> str:
    """Return one sentence on the worst slice.

    Args:
        worst: The slice; None if none had enough rows.
        metric: The metric.
        score: The score on all rows.
    """
    if worst is None:
        return "No slice has enough rows to be scored."
    beside = "" if score is None else f", compared with {score:.4g} on all rows"
    span = f"{worst.score:.4g} ({worst.lower:.4g} to {worst.upper:.4g})"
    return f"The worst slice is {worst.name}: {metric} is {span} on its {worst.rows:,} rows{beside}."


def _errors(performance: PerformanceResult) -> Section | None:
    errors = performance.errors
    if errors is None:
        return None
    figure = None
    if errors.edges:
        labels = ("at promotion", "now")
        figure = overlaid_histograms(errors.edges, errors.before, errors.now, labels=labels, title="", axis_label=f"{errors.measure} of a row")
    return Section("Errors of the champion", [errors.sentence], figure_svg=figure)


def _unlike(performance: PerformanceResult) -> Section | None:
    return unlike_section(performance.unlike) if performance.unlike else None


def unlike_section(unlike: UnlabelledComparison) -> Section:
    """Return a section on whether unlabelled rows differ, and in which columns."""
    rows = [(item.name, item.severity, item.reason) for item in unlike.features]
    table = Table(["Column", "Difference", "Reason"], rows) if rows else None
    return Section("Labelled and unlabelled rows", [unlike.sentence], table=table)


def _rows(performance: PerformanceResult) -> Section | None:
    if performance.baseline_score is None:
        return None
    counts: list[list[str | float | None]] = [
        ["Rows scored", performance.rows],
        ["Rows without a settled label", performance.rows_unlabelled],
        ["Rows the champion has seen", performance.rows_seen_by_champion],
    ]
    if performance.predictions == LOG:
        counts.append(["Predictions of other versions, left out", performance.rows_other_versions])
    how = "taken from the log" if performance.predictions == LOG else "made by the champion in this step"
    return Section("Rows", table=Table(["", "Number"], counts, note=f"Predictions were {how}."))
