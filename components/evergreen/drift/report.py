"""The drift report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.drift.features import effect_name
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.reporting import figures
from evergreen.reporting.page import NO_VALUE, Section, Table, Tone, render_page
from evergreen.results.drift import METHOD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evergreen.drift.detection import DriftComparison
    from evergreen.drift.settings import DriftSettings
    from evergreen.results.drift import DriftResult, FeatureDrift

FIGURES = 6
"""Maximum number of features to draw."""
BARS = 12
"""Maximum number of categories in a figure."""
_TONES: dict[str, Tone] = {"no drift": "good", "insufficient": "warning", "no champion": "neutral"}
_LABELS = ("reference", "current")


def drift_page(result: DriftResult, settings: DriftSettings, compared: DriftComparison | None) -> str:
    """Return the report as HTML.

    Args:
        result: The drift result.
        settings: The drift settings.
        compared: The compared profiles, for figures; None without a champion.
    """
    tone: Tone = _TONES.get(result.verdict, "bad" if result.severity == "severe" else "warning")
    if compared is None:
        section = Section("What this means", ["Nothing was compared. The first champion comes with its own reference data, and the next run compares with it."])
        return render_page("Input drift", result.sentence, tone, [section])
    drifted = [feature for feature in result.all_columns if feature.drift][:FIGURES]
    sections = [_features_section(result)]
    if drifted:
        heading = "How they changed" if len(drifted) < FIGURES else f"How the worst {FIGURES} changed"
        sections.append(Section(heading, figure_svg=figures.stacked([_figure(feature, compared) for feature in drifted])))
    if result.prediction is not None:
        sections.append(_prediction_section(result.prediction))
    sections.append(_together_section(result))
    if any(feature.measured.p_value_missing is not None for feature in result.features):
        sections.append(_missing_section(result))
    new = [(feature.measured.name, category, share) for feature in result.all_columns for category, share in feature.measured.new_categories.items()]
    if new:
        new.sort(key=lambda entry: -entry[2])
        note = f"The most frequent 20 of {len(new)}." if len(new) > 20 else ""
        sections.append(Section("New categories", table=Table(["column", "category", "share of current rows"], new[:20], note)))
    if result.left_out:
        sections.append(Section("Columns not compared", table=Table(["column", "reason"], sorted(result.left_out.items()))))
    sections.append(_method_section(settings))
    return render_page("Input drift", result.sentence, tone, sections)


_EFFECTS = ("standardised_mean_difference", "spread_change", "jensen_shannon_distance", "tail_share_change")
_COLUMNS = ["drift", "mean shift (std. deviations)", "spread (log ratio)", "Jensen-Shannon distance", "tails (change of share)", "corrected p"]


def _effects_row(feature: FeatureDrift) -> tuple[str | float | None, ...]:
    return (
        feature.measured.name,
        feature.severity if feature.drift else NO_VALUE if feature.measured.p_value is None else "none",
        *(feature.measured.effects.get(effect) for effect in _EFFECTS),
        feature.corrected.get("p_value"),
    )


def _prediction_section(prediction: FeatureDrift) -> Section:
    paragraphs = ["What the champion predicts for the sampled rows of both sides. Predictions are not a feature: they count in no number or share of features."]
    return Section("Predictions of the champion", paragraphs, Table(["", *_COLUMNS], [_effects_row(prediction)]), bullets=[prediction.reason])


def _features_section(result: DriftResult) -> Section:
    rows = [_effects_row(feature) for feature in result.features]
    columns = ["feature", *_COLUMNS]
    paragraphs = [f"Compared {result.rows['current']:,} current rows with {result.compared_with}."]
    if result.weighted_by_importance and result.share_drifted is not None:
        paragraphs.append(f"Weighted by importance to the champion, {result.share_drifted:.0%} of the features drifted.")
    reasons = [f"{feature.measured.name}: {feature.reason}" for feature in result.features if feature.drift or feature.measured.p_value is None]
    return Section("Features", paragraphs, Table(columns, rows) if rows else None, bullets=reasons)


def _together_section(result: DriftResult) -> Section:
    together = result.multivariate
    paragraphs = [together.sentence]
    if together.library != "none":
        paragraphs.append(f"Method: {together.method} ({together.library}), on {together.rows:,} sampled rows.")
    if together.features:
        table = Table(["feature", "share of the classifier's performance"], list(together.features.items()))
    elif together.correlations:
        rows = [(" and ".join(change.features), change.before, change.now, change.p_value) for change in together.correlations]
        table = Table(["features", "reference rank correlation", "current", "corrected p"], rows)
    else:
        return Section("All features together", paragraphs)
    return Section("All features together", paragraphs, table)


def _missing_section(result: DriftResult) -> Section:
    rows = [
        (
            feature.measured.name,
            feature.measured.missing_share_reference,
            feature.measured.missing_share_current,
            feature.measured.p_value_missing,
            feature.corrected.get("p_value_missing"),
        )
        for feature in result.features
        if feature.measured.p_value_missing is not None
    ]
    return Section("Missing values", table=Table(["feature", "reference share", "current share", "p", "corrected p"], rows))


def _method_section(settings: DriftSettings) -> Section:
    floors = [(effect_name(name), floor) for name, floor in settings.floors().items()]
    floors += [("change of a rank correlation", settings.correlation_change), ("classifier's area under the curve", settings.classifier_auc)]
    paragraphs = [
        f"{METHOD}. A change is significant if its corrected p-value is below {settings.significance:g}.",
        (
            f"An effect is slight from its floor, moderate from {settings.moderate_multiple:g} times the floor, "
            f"severe from {settings.severe_multiple:g} times. The dataset's drift is that of its worst feature, "
            f"but at most moderate if fewer than {settings.severe_share_drifted:.0%} of the features drifted, "
            f"and at most slight if fewer than {settings.moderate_share_drifted:.0%} did."
        ),
        "The Jensen-Shannon distance uses at most twenty bins of equal size, or the categories, and is corrected for sampling noise.",
    ]
    return Section("Method", paragraphs, Table(["effect", "floor"], floors))


def _figure(feature: FeatureDrift, compared: DriftComparison) -> str:
    measured = feature.measured
    title = f"{measured.name}: {feature.severity}"
    before, now = compared.reference.columns[measured.name], compared.current.columns[measured.name]
    if min(before.values, now.values) == 0 or measured.p_value is None:
        shares = [measured.missing_share_reference, measured.missing_share_current]
        return figures.bar_chart(list(_LABELS), shares, axis_label=f"{title}, share of missing values")
    if isinstance(before, CategoryCounts) and isinstance(now, CategoryCounts):
        names = sorted(
            before.counts.keys() | now.counts.keys(), key=lambda name: -(before.counts.get(name, 0) / before.values + now.counts.get(name, 0) / now.values)
        )
        counts = ([side.counts.get(name, 0) for name in names[:BARS]] for side in (before, now))
        return figures.paired_bars(names[:BARS], next(counts), next(counts), labels=_LABELS, title=title)
    if isinstance(before, NumberCounts) and isinstance(now, NumberCounts):
        edges = _edges(before, now)
        return figures.overlaid_histograms(edges.tolist(), _rebinned(before, edges).tolist(), _rebinned(now, edges).tolist(), labels=_LABELS, title=title)
    raise TypeError(f"column {measured.name!r} was counted as two kinds")


def _edges(before: NumberCounts, now: NumberCounts) -> NDArray[np.float64]:
    """Return the edges of thirty bins, with the outermost thousandths in the outermost bins so that one outlier does not hide the rest."""
    bounds = [_inner_quantile(side, share) for side in (before, now) for share in (0.001, 0.999)]
    low, high = min(bounds), max(bounds)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, 31)


def _inner_quantile(counts: NumberCounts, share: float) -> float:
    ends, below = _distribution(counts)
    return float(np.interp(share * below[-1], below, ends))


def _distribution(counts: NumberCounts) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    ends = np.concatenate([[counts.minimum], np.clip(counts.edges, counts.minimum, counts.maximum), [counts.maximum]])
    return ends, np.concatenate([[0], np.cumsum(counts.counts)])


def _rebinned(counts: NumberCounts, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the counts in other bins, assuming evenly spread values within each fine bin; values outside go to the outermost bins."""
    ends, below = _distribution(counts)
    cumulative = np.interp(edges, ends, below)
    cumulative[0], cumulative[-1] = 0, below[-1]
    return np.diff(cumulative)
