"""Report sections about a classifier's predictions: ROC and precision-recall curves, confusion matrix, calibration and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.reporting.figures import FIRST, INK, SECOND, legend, stacked, svg_figure
from evergreen.reporting.page import Section, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.evaluation.prediction_pair import PredictionPair
    from evergreen.metrics.predictions import Predictions
    from evergreen.results.evaluation import Evaluation

MOST_POINTS = 200
MOST_MATRIX_CLASSES = 12


def curves_section(scored: PredictionPair) -> Section | None:
    """Return both models' curves; for more than two classes, the micro-average, with each row and class as a separate case."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    drawable = [
        (name, *cases) for name, model in (("challenger", scored.challenger), ("champion", scored.champion)) if model is not None and (cases := _cases(model))
    ]
    if not drawable:
        return None

    def curves(axes: Any, points: Callable[[Any, Any], tuple[Any, Any]], across: str, up: str) -> None:
        for (name, truth, sure), colour in zip(drawable, (FIRST, SECOND), strict=False):
            axes.plot(*_thinned(*points(truth, sure)), color=colour, label=name)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        legend(axes)

    def receiver(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        curves(axes, lambda truth, sure: roc_curve(truth, sure)[:2], "false positive rate", "true positive rate")

    def precision(axes: Any) -> None:
        curves(axes, lambda truth, sure: precision_recall_curve(truth, sure)[1::-1], "recall", "precision")

    classes = scored.challenger.classes
    words = f"The positive class is {classes[-1]}." if len(classes) == 2 else f"Micro-average over {len(classes)} classes: each row counts once per class."
    figures = stacked([svg_figure(receiver, height_in=3.2), svg_figure(precision, height_in=3.2)])
    return Section("ROC and precision-recall curves", paragraphs=[words], figure_svg=figures)


def _cases(model: Predictions) -> tuple[Any, Any] | None:
    """Return the truth and the predicted probability of each case; None if no curves can be drawn."""
    known = np.isin(model.labels, model.classes) if len(model.classes) else np.zeros(0, dtype=bool)
    if model.probabilities is None or not known.size or not known.all():
        return None
    if len(model.classes) == 2:
        truth = model.labels == model.classes[-1]
        return None if truth.all() or not truth.any() else (truth, model.probabilities[:, -1])
    classes = np.asarray(model.classes, dtype=model.labels.dtype)
    return (model.labels[:, None] == classes[None, :]).ravel(), model.probabilities.ravel()


def _thinned(across: Any, up: Any) -> tuple[Any, Any]:
    kept = np.unique(np.linspace(0, len(across) - 1, min(MOST_POINTS, len(across))).astype(int))
    return across[kept], up[kept]


def confusion_section(scored: PredictionPair) -> Section | None:
    """Return the challenger's confusion matrix as a table; None for regression and above 12 classes, where it becomes unreadable."""
    from sklearn.metrics import confusion_matrix

    ours = scored.challenger
    if not len(ours.classes):
        return None
    classes = sorted({*ours.classes, *(value.item() if hasattr(value, "item") else value for value in np.unique(ours.labels))})
    if len(classes) > MOST_MATRIX_CLASSES:
        return None
    counts = confusion_matrix(ours.labels, ours.predicted, labels=np.asarray(classes, dtype=ours.labels.dtype))
    rows: list[tuple[str | int, ...]] = [
        (f"true {name}", *map(int, row), f"{row[place] / row.sum():.1%}" if row.sum() else "")
        for place, (name, row) in enumerate(zip(classes, counts, strict=True))
    ]
    table = Table(["", *(f"predicted {name}" for name in classes), "Correct"], rows, note="Rows of the holdout, by true class and the challenger's prediction.")
    return Section("Confusion matrix", table=table)


def calibration_section(evaluation: Evaluation) -> Section | None:
    """Return the reliability curve; None if there are no probabilities."""
    found = evaluation.calibration
    if found is None:
        return None

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        axes.plot(found.predicted, found.observed, "o-", color=FIRST)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("observed share")

    words = f"Expected calibration error {found.error:.4f}, in {len(found.rows)} bins of equal size. On the dotted line, 0.7 means seven in ten."
    return Section("Calibration", paragraphs=[words], figure_svg=svg_figure(draw, height_in=3.2))


def groups_section(evaluation: Evaluation) -> Section | None:
    """Return the rates behind the fairness gaps, by group; None if no groups are configured."""
    rows: list[list[str | float | None]] = []
    for check in evaluation.checks:
        rates = check["details"].get("rates")
        if rates and len(rates) == 1:
            name = check["name"].removeprefix("demographic parity by ")
            odds = next((other["details"].get("rates") for other in evaluation.checks if other["name"] == f"equalised odds by {name}"), None) or [{}, {}]
            rows += [[f"{name} = {group}", share, odds[0].get(group), odds[1].get(group)] for group, share in rates[0].items()]
    if not rows:
        return None
    note = "Share of rows with the favourable prediction: of all rows, of rows with the favourable label, and of the others."
    return Section("Groups", table=Table(["Group", "Favourable", "True positives", "False positives"], rows, note=note))
