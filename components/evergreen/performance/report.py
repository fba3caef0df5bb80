"""The champion's performance as a page, as metrics, and as a step's record."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.artifacts import PRESENT, write_json
from evergreen.reporting.page import Section, Table, render_page
from evergreen.run_log import plain

if TYPE_CHECKING:
    from evergreen.performance.monitoring import Performance
    from evergreen.run_log import StepRecord

TONES: dict[str, Any] = {"holds": "good", "degraded": "bad", "cannot tell": "warning", "no champion": "neutral"}


def write_outputs(performance: Performance, record: StepRecord, *, result_artifact: Any, report_artifact: Any, metrics_artifact: Any) -> str:
    """Write every output and fill the step's record; return the verdict.

    Args:
        performance: What was found.
        record: The step's record.
        result_artifact: Takes the result as JSON.
        report_artifact: Takes the page.
        metrics_artifact: Takes the numbers.
    """
    write_json(result_artifact.path, performance)
    result_artifact.metadata.update({PRESENT: True, "verdict": performance.verdict})
    Path(report_artifact.path).parent.mkdir(parents=True, exist_ok=True)
    Path(report_artifact.path).write_text(performance_page(performance), encoding="utf-8")
    record.outcome = performance.verdict
    record.details = report_numbers(performance, metrics_artifact)
    record.reports = {"performance_report": report_artifact.uri}
    return performance.verdict


def report_numbers(found: Any, metrics_artifact: Any) -> dict[str, Any]:
    """Write the numbers among a dataclass's fields as metrics; return all of its fields as plain values."""
    content: dict[str, Any] = plain(asdict(found))
    numbers = {name: float(value) for name, value in content.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    for name, value in numbers.items():
        metrics_artifact.log_metric(name, value)
    # KFP keeps metrics in metadata; the file exists too, because an output without one is passed over in silence.
    write_json(metrics_artifact.path, numbers)
    return content


def performance_page(performance: Performance) -> str:
    """Return the champion's performance as an HTML page."""
    sections = []
    if performance.baseline_score is not None:
        rows: list[list[str | float | None]] = [
            ["At promotion", performance.baseline_score, performance.baseline_lower, performance.baseline_upper],
            ["Now", performance.score, performance.lower, performance.upper],
            ["Drop", performance.drop, performance.drop_lower, performance.drop_upper],
        ]
        note = "Bootstrap intervals, 95 %. The drop's interval takes the uncertainty of both scores into account."
        sections.append(Section(f"Scores ({performance.metric})", table=Table(["", "Score", "Lower", "Upper"], rows, note=note)))
        counts: list[list[str | float | None]] = [
            ["Rows scored", performance.rows],
            ["Rows without a settled label", performance.rows_unlabelled],
            ["Rows the champion has seen", performance.rows_seen_by_champion],
        ]
        sections.append(Section("Rows", table=Table(["", "Number"], counts)))
    return render_page("Performance of the champion", performance.sentence, TONES[performance.verdict], sections)
