"""The drift report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting import figures
from evergreen.reporting.page import NO_VALUE, Section, Table, Tone, render_page

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from evergreen.drift.config import DriftConfig
    from evergreen.drift.features import FeatureDrift
    from evergreen.drift.verdict import DriftResult

FIGURES = 6
"""Most features that are drawn."""
BARS = 12
"""Most categories in a figure."""
_TONES: dict[str, Tone] = {"no drift": "good", "insufficient": "warning", "no champion": "neutral"}
_LABELS = ("reference", "current")


def drift_page(result: DriftResult, config: DriftConfig, reference: pd.DataFrame | None, current: pd.DataFrame | None) -> str:
    """Return the report as HTML.

    Args:
        result: What was found.
        config: What counts as drift.
        reference: The sample that was compared, for figures; None without a champion.
        current: The sample that was compared, for figures; None without a champion.
    """
    from evergreen.drift.verdict import METHOD

    tone: Tone = _TONES.get(result.verdict, "bad" if result.severity == "severe" else "warning")
    if reference is None or current is None:
        section = Section("What this means", ["Nothing was compared. The first champion brings its own reference, and the next run compares with it."])
        return render_page("Drift of the inputs", result.sentence, tone, [section])
    drifted = [feature for feature in result.features if feature.drift][:FIGURES]
    sections = [_features_section(result)]
    if drifted:
        drawn = [_figure(feature, reference[feature.measured.name], current[feature.measured.name]) for feature in drifted]
        heading = "How they changed" if len(drifted) < FIGURES else f"How the worst {FIGURES} changed"
        sections.append(Section(heading, figure_svg=figures.stacked(drawn)))
    if any(feature.measured.p_value_missing is not None for feature in result.features):
        sections.append(_missing_section(result))
    new = [(feature.measured.name, category, share) for feature in result.features for category, share in feature.measured.new_categories.items()]
    if new:
        new.sort(key=lambda entry: -entry[2])
        note = f"The most frequent 20 of {len(new)}." if len(new) > 20 else ""
        sections.append(Section("New categories", table=Table(["feature", "category", "share of current rows"], new[:20], note)))
    if result.left_out:
        sections.append(Section("Left out", table=Table(["column", "why"], sorted(result.left_out.items()))))
    sections.append(_method_section(result, config, METHOD))
    return render_page("Drift of the inputs", result.sentence, tone, sections)


def _features_section(result: DriftResult) -> Section:
    rows = [
        (
            feature.measured.name,
            feature.severity if feature.drift else NO_VALUE if feature.measured.p_value is None else "none",
            feature.measured.effects.get("standardised_mean_difference"),
            feature.measured.effects.get("jensen_shannon_distance"),
            feature.measured.p_value,
            feature.p_value_corrected,
        )
        for feature in result.features
    ]
    columns = ["feature", "drift", "shift of the mean (deviations)", "Jensen-Shannon distance", "p", "p corrected"]
    rows_text = f"{result.rows['reference']:,} reference rows and {result.rows['current']:,} current rows"
    sampled = result.rows["reference_sampled"] < result.rows["reference"] or result.rows["current_sampled"] < result.rows["current"]
    note = f" (random samples of {result.rows['reference_sampled']:,} and {result.rows['current_sampled']:,})" if sampled else ""
    paragraphs = [f"Compared: {rows_text}{note}."]
    reasons = [f"{feature.measured.name}: {feature.reason}" for feature in result.features if feature.drift or feature.measured.p_value is None]
    return Section("Features", paragraphs, Table(columns, rows) if rows else None, bullets=reasons)


def _missing_section(result: DriftResult) -> Section:
    rows = [
        (
            feature.measured.name,
            feature.measured.missing_share_reference,
            feature.measured.missing_share_current,
            feature.measured.p_value_missing,
            feature.p_value_missing_corrected,
        )
        for feature in result.features
        if feature.measured.p_value_missing is not None
    ]
    return Section("Missing values", table=Table(["feature", "share in the reference", "share now", "p", "p corrected"], rows))


def _method_section(result: DriftResult, config: DriftConfig, method: str) -> Section:
    floors = [(name.replace("_", " ").replace("jensen shannon", "Jensen-Shannon"), floor) for name, floor in config.floors().items()]
    paragraphs = [
        f"{method}. p-values by {result.library}; a change is significant below {config.significance:g}.",
        (
            f"An effect is slight from its floor on, moderate from {config.moderate_multiple:g} times the floor, severe from {config.severe_multiple:g} times. "
            f"The dataset's drift is that of its worst feature, but moderate at most when fewer than {config.severe_share_drifted:.0%} of the features drift, "
            f"and slight at most when fewer than {config.moderate_share_drifted:.0%} do."
        ),
        "The Jensen-Shannon distance is over ten quantile bins of the reference, or over categories; what sampling alone explains is subtracted.",
    ]
    return Section("Method", paragraphs, Table(["effect", "floor"], floors))


def _figure(feature: FeatureDrift, reference: pd.Series, current: pd.Series) -> str:
    import numpy as np

    from evergreen.drift.effects import category_counts

    measured = feature.measured
    title = f"{measured.name}: {feature.severity}"
    values_before, values_now = reference.dropna(), current.dropna()
    if min(len(values_before), len(values_now)) == 0 or measured.p_value is None:
        return _missing_figure(feature, title)
    if measured.kind == "category":
        names, before, now = category_counts(values_before.astype(str).tolist(), values_now.astype(str).tolist())
        largest = np.argsort(-(before / before.sum() + now / now.sum()), kind="stable")[:BARS]
        return figures.paired_bars([names[index] for index in largest], before[largest].tolist(), now[largest].tolist(), labels=_LABELS, title=title)
    edges = _edges(np.asarray(values_before, dtype=float), np.asarray(values_now, dtype=float))
    before, now = (np.histogram(np.clip(np.asarray(values, dtype=float), edges[0], edges[-1]), bins=edges)[0] for values in (values_before, values_now))
    return figures.overlaid_histograms(edges.tolist(), before.tolist(), now.tolist(), labels=_LABELS, title=title)


def _missing_figure(feature: FeatureDrift, title: str) -> str:
    shares = [feature.measured.missing_share_reference, feature.measured.missing_share_current]
    return figures.bar_chart(list(_LABELS), shares, axis_label=f"{title}, share of missing values")


def _edges(before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of thirty bins; the outermost thousandths fall into the outermost bins, so that one outlier does not hide the rest."""
    import numpy as np

    bounds = [np.quantile(values, share) for values in (before, now) for share in (0.001, 0.999)]
    low, high = float(min(bounds)), float(max(bounds))
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, 31)
