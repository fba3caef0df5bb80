"""Measurements of a single feature, and the conclusion from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evergreen.drift import effects
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.statistics import chi_squared, coarse_cells, equal_shares, kolmogorov_smirnov
from evergreen.results.drift import FeatureDrift, FeatureMeasurement, Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evergreen.drift.settings import DriftSettings

CELLS = 20
"""Maximum number of cells for the Jensen-Shannon distance and the chi-squared test of numbers."""

TEST_OF_EFFECT = {"missing_share_change": "p_value_missing", "tail_share_change": "p_value_tail"}
"""The test for each effect; all other effects use the test of the values."""


TESTS = ("p_value", "p_value_missing", "p_value_tail")


def measure_feature(
    name: str, reference: NumberCounts | CategoryCounts, current: NumberCounts | CategoryCounts, *, settings: DriftSettings
) -> FeatureMeasurement:
    """Measure one feature on both sides.

    Missing values are excluded first, because tests of values do not accept them; their share is measured separately.

    Args:
        name: Name of the column.
        reference: Its counts in the reference data.
        current: Its counts in the window, in the same bins.
        settings: Settings with the minimum number of values.
    """
    shares = [counts.missing / counts.rows if counts.rows else 0.0 for counts in (reference, current)]
    kind = "empty" if not reference.values and not current.values else "number" if isinstance(current, NumberCounts) else "category"
    measured = FeatureMeasurement(name, kind, shares[0], shares[1], reference.values, current.values)
    measured.effects["missing_share_change"] = shares[1] - shares[0]
    if (reference.missing or current.missing) and kind != "empty" and min(reference.rows, current.rows) >= settings.minimum_rows:
        measured.p_value_missing = equal_shares(reference.missing, reference.rows, current.missing, current.rows)
    enough = min(reference.values, current.values) >= settings.minimum_rows
    if isinstance(reference, NumberCounts) and isinstance(current, NumberCounts):
        measured.infinite_reference, measured.infinite_current = reference.infinite, current.infinite
        if enough:
            _measure_numbers(measured, reference, current)
    elif isinstance(reference, CategoryCounts) and isinstance(current, CategoryCounts) and enough:
        _measure_categories(measured, reference, current)
    return measured


def _measure_numbers(measured: FeatureMeasurement, reference: NumberCounts, current: NumberCounts) -> None:
    cells = coarse_cells(reference.counts, current.counts, CELLS)
    measured.effects["standardised_mean_difference"] = effects.standardised_mean_difference(reference, current)
    measured.effects["spread_change"] = effects.spread_change(reference, current)
    measured.effects["jensen_shannon_distance"] = effects.jensen_shannon_distance(*cells)
    # Kolmogorov-Smirnov is powerful for shifts and weak for spreads, chi-squared the opposite; the factor corrects for two tests.
    measured.p_value = min(1.0, 2 * min(kolmogorov_smirnov(reference.counts, current.counts), chi_squared(*cells)))
    outside = effects.tail_shares(reference, current)
    if outside is not None:
        measured.effects["tail_share_change"] = outside[1] / current.values - outside[0] / reference.values
        measured.p_value_tail = equal_shares(outside[0], reference.values, outside[1], current.values)


def _measure_categories(measured: FeatureMeasurement, reference: CategoryCounts, current: CategoryCounts) -> None:
    names = sorted(reference.counts.keys() | current.counts.keys())
    before = np.array([*(reference.counts.get(name, 0) for name in names), reference.remainder], dtype=np.int64)
    now = np.array([*(current.counts.get(name, 0) for name in names), current.remainder], dtype=np.int64)
    measured.effects["jensen_shannon_distance"] = effects.jensen_shannon_distance(before, now)
    new = sorted(((name, count) for name, count in current.counts.items() if name not in reference.counts), key=lambda entry: (-entry[1], entry[0]))
    measured.effects["new_category_share"] = sum(count for _, count in new) / current.values
    measured.new_categories = {name: count / current.values for name, count in new[:20]}
    measured.p_value = chi_squared(*_merged_categories(before, now))


def _merged_categories(before: NDArray[np.int64], now: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge rare categories, because the chi-squared test needs about five expected rows per cell (Cochran, 1954)."""
    total = before + now
    needed = 5 * total.sum() / min(before.sum(), now.sum())
    codes = np.zeros(len(total), dtype=np.int64)
    code, collected = 0, 0.0
    for position in np.argsort(total, kind="stable"):
        if collected >= needed:
            code, collected = code + 1, 0.0
        codes[position] = code
        collected += total[position]
    if collected < needed:
        codes[codes == code] = max(code - 1, 0)
    merged = (np.bincount(codes, weights=counts).astype(np.int64) for counts in (before, now))
    return next(merged), next(merged)


def conclude(measured: FeatureMeasurement, corrected: dict[str, float], settings: DriftSettings) -> FeatureDrift:
    """Decide whether a feature drifts: this requires significance and an effect that reaches its floor.

    The severity depends on the largest multiple of a floor: slight from one, moderate from ``moderate_multiple``, severe from
    ``severe_multiple``.

    Args:
        measured: The measurements.
        corrected: Corrected p-values of its tests.
        settings: Floors and significance.
    """
    multiples: dict[str, float] = {}
    for effect, floor in settings.floors().items():
        size = measured.effects.get(effect)
        p_value = corrected.get(TEST_OF_EFFECT.get(effect, "p_value"), 1.0)
        if size is not None and p_value < settings.significance and abs(size) >= floor:
            multiples[effect] = abs(size) / floor
    if not multiples:
        return FeatureDrift(measured, corrected, drift=False, severity="none", reason=_quiet_reason(measured, corrected, settings))
    largest = max(multiples.values())
    severity: Severity = "severe" if largest >= settings.severe_multiple else "moderate" if largest >= settings.moderate_multiple else "slight"
    found = ", ".join(
        f"{effect_name(effect)} {measured.effects[effect]:.3g} (floor {settings.floors()[effect]:g})"
        for effect in sorted(multiples, key=lambda name: multiples[name], reverse=True)
    )
    return FeatureDrift(measured, corrected, drift=True, severity=severity, reason=f"Changed: {found}.")


def effect_name(effect: str) -> str:
    """Return a readable name of an effect."""
    return effect.replace("_", " ").replace("jensen shannon", "Jensen-Shannon")


def _quiet_reason(measured: FeatureMeasurement, corrected: dict[str, float], settings: DriftSettings) -> str:
    if measured.kind == "empty":
        return "Neither side has a value."
    if measured.p_value is None:
        return (
            f"Too few values to compare: {measured.values_reference:,} in the reference and {measured.values_current:,} in the current data; "
            f"at least {settings.minimum_rows} are needed on each side."
        )
    if min(corrected.values(), default=1.0) < settings.significance:
        return "Significant, but every effect is below its floor: too small to matter."
    return "No significant change."
