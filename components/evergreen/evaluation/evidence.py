"""Report sections that explain the verdict: slices as a forest plot, importances, residuals, and those of `class_evidence` and `changes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.changes import changes_section
from evergreen.evaluation.class_evidence import calibration_section, confusion_section, curves_section, groups_section
from evergreen.reporting.figures import FIRST, INK, SECOND, bar_chart, legend, readable, stacked, svg_figure
from evergreen.reporting.page import Section, Table

if TYPE_CHECKING:
    from evergreen.evaluation.prediction_pair import PredictionPair
    from evergreen.results.evaluation import Evaluation

MOST_BARS = 15
MOST_DOTS = 300
BINS = 30


def evidence_sections(evaluation: Evaluation, scored: PredictionPair | None) -> list[Section]:
    """Return the report sections that explain the verdict; empty sections are left out.

    Args:
        evaluation: The evaluation.
        scored: Both models' predictions.
    """
    sections = [changes_section(evaluation, scored), _slices(evaluation), groups_section(evaluation), _importances(evaluation)]
    if scored is not None:
        sections += [curves_section(scored), confusion_section(scored), calibration_section(evaluation), _residuals(scored)]
    return [section for section in sections if section is not None]


def _slices(evaluation: Evaluation) -> Section | None:
    if not evaluation.slices:
        return None
    rows = [(item["name"], item["rows"], item["difference"], item["lower"], item["upper"], item["verdict"]) for item in evaluation.slices]
    against = "no champion" not in {item["verdict"] for item in evaluation.slices}
    measure = "Difference" if against else "Score"
    drawn = [item for item in evaluation.slices if item["difference"] is not None]
    note = "Intervals are corrected for the number of slices (Bonferroni)."
    table = Table(["Slice", "Rows", measure, "Lower", "Upper", "Verdict"], rows, note=note)
    return Section("Slices", table=table, figure_svg=_forest(drawn, evaluation.metric, against=against) if drawn else None)


def _forest(items: list[dict[str, Any]], metric: str, *, against: bool) -> str:
    def draw(axes: Any) -> None:
        for position, item in enumerate(reversed(items)):
            colour = SECOND if item["verdict"] == "worse" else FIRST
            axes.plot([item["lower"], item["upper"]], [position, position], color=colour, linewidth=2.5, solid_capstyle="round")
            axes.plot([item["difference"]], [position], "o", color=colour, markersize=6)
        if against:
            axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_ylim(-0.6, len(items) - 0.4)
        axes.set_yticks(range(len(items)), [readable(item["name"], 28) for item in reversed(items)])
        axes.set_xlabel(readable(f"{'challenger minus champion' if against else 'challenger'}, {metric}", 60))

    return svg_figure(draw, height_in=0.9 + 0.3 * len(items))


def _importances(evaluation: Evaluation) -> Section | None:
    if not evaluation.importances:
        return None
    ordered = sorted(((name, value) for name, value in evaluation.importances.items() if value is not None), key=lambda item: -item[1])[:MOST_BARS]
    figure = bar_chart([name for name, _ in ordered], [value for _, value in ordered], axis_label="score drop when shuffled")
    return Section("Most important features of the challenger", figure_svg=figure)


def _residuals(scored: PredictionPair) -> Section | None:
    ours, theirs = scored.challenger, scored.champion
    if len(ours.classes):
        return None
    mine = ours.predicted - ours.labels
    other = mine if theirs is None else theirs.predicted - theirs.labels
    drawn = (("challenger", mine, FIRST), ("champion", other, SECOND))[: 1 if theirs is None else 2]
    edges = np.histogram_bin_edges(np.concatenate([mine, other]), bins=BINS)

    def draw(axes: Any) -> None:
        for name, errors, colour in drawn:
            axes.stairs(np.histogram(errors, bins=edges)[0], edges, color=colour, linewidth=1.8, label=name)
        axes.set_xlabel("predicted minus true")
        axes.set_ylabel("rows")
        legend(axes)

    def scatter(axes: Any) -> None:
        kept = np.unique(np.linspace(0, len(mine) - 1, min(MOST_DOTS, len(mine))).astype(int))
        axes.axhline(0.0, color=INK, linewidth=0.8)
        axes.plot(ours.predicted[kept], mine[kept], "o", color=FIRST, markersize=3, alpha=0.6)
        axes.set_xlabel("predicted by the challenger")
        axes.set_ylabel("predicted minus true")

    words = f"Top: distribution of the errors. Bottom: the challenger's errors by predicted value, for {min(MOST_DOTS, len(mine)):,} of {len(mine):,} rows."
    figures = stacked([svg_figure(draw, height_in=2.6), svg_figure(scatter, height_in=3.2)])
    return Section("Errors", paragraphs=[words], figure_svg=figures)
