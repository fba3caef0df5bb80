"""The report's figures: slices as a forest plot, ROC and precision-recall curves, reliability, residuals, importances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.reporting.figures import FIRST, INK, SECOND, bar_chart, legend, readable, stacked, svg_figure
from evergreen.reporting.page import Section, Table

if TYPE_CHECKING:
    from evergreen.evaluation.comparison import Scored
    from evergreen.evaluation.result import Evaluation
    from evergreen.scoring import Predictions

MOST_BARS = 15
MOST_POINTS = 200
BINS = 30


def evidence_sections(evaluation: Evaluation, scored: Scored | None) -> list[Section]:
    """Return the report's parts that show where the verdict comes from; parts without content are left out.

    Args:
        evaluation: What was found.
        scored: Both models' predictions.
    """
    sections = [_slices(evaluation), _importances(evaluation)]
    if scored is not None:
        sections += [_curves(scored), _calibration(evaluation), _residuals(scored)]
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
    ordered = sorted(evaluation.importances.items(), key=lambda item: -item[1])[:MOST_BARS]
    figure = bar_chart([name for name, _ in ordered], [value for _, value in ordered], axis_label="fall of the score when the feature is shuffled")
    return Section("What the challenger leans on", figure_svg=figure)


def _curves(scored: Scored) -> Section | None:
    from sklearn.metrics import precision_recall_curve, roc_curve

    drawable = [(name, model) for name, model in (("challenger", scored.challenger), ("champion", scored.champion)) if model is not None and _two(model)]
    if not drawable:
        return None

    def receiver(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for (name, model), colour in zip(drawable, (FIRST, SECOND), strict=False):
            false_positive, true_positive, _ = roc_curve(_truth(model), _sure(model))
            axes.plot(*_thinned(false_positive, true_positive), color=colour, label=name)
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")
        legend(axes)

    def precision(axes: Any) -> None:
        for (name, model), colour in zip(drawable, (FIRST, SECOND), strict=False):
            exact, found, _ = precision_recall_curve(_truth(model), _sure(model))
            axes.plot(*_thinned(found, exact), color=colour, label=name)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        legend(axes)

    positive = drawable[0][1].classes[-1]
    figures = stacked([svg_figure(receiver, height_in=3.2), svg_figure(precision, height_in=3.2)])
    return Section("ROC and precision-recall curves", paragraphs=[f"The positive class is {positive}."], figure_svg=figures)


def _two(model: Predictions) -> bool:
    return (
        len(model.classes) == 2 and model.probabilities is not None and len(np.unique(model.labels)) == 2 and bool(np.isin(model.labels, model.classes).all())
    )


def _truth(model: Predictions) -> Any:
    return model.labels == model.classes[-1]


def _sure(model: Predictions) -> Any:
    probabilities: Any = model.probabilities
    return probabilities[:, -1]


def _thinned(across: Any, up: Any) -> tuple[Any, Any]:
    kept = np.unique(np.linspace(0, len(across) - 1, min(MOST_POINTS, len(across))).astype(int))
    return across[kept], up[kept]


def _calibration(evaluation: Evaluation) -> Section | None:
    found = evaluation.calibration
    if found is None:
        return None

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        axes.plot(found["predicted"], found["observed"], "o-", color=FIRST)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share that came true")

    words = f"Expected calibration error {found['error']:.4f}, in {len(found['rows'])} bins of equally many rows. On the dotted line 0.7 means seven in ten."
    return Section("Calibration", paragraphs=[words], figure_svg=svg_figure(draw, height_in=3.2))


def _residuals(scored: Scored) -> Section | None:
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

    return Section("Errors", figure_svg=svg_figure(draw, height_in=2.6))
