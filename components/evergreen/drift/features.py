"""One feature: what is measured, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evergreen.drift import effects
from evergreen.drift.errors import DriftError
from evergreen.drift.tabular_tests import TabularTests, merged_codes, share_test

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from evergreen.drift.columns import Kind
    from evergreen.drift.config import DriftConfig

SEVERITIES = ("none", "slight", "moderate", "severe")


@dataclass
class Measured:
    """What was measured of one feature in both samples.

    Attributes:
        name: The column.
        kind: ``number``, ``category`` or ``empty``.
        effects: Size of each effect; those of the values are absent when too few values were compared.
        p_value: p-value of the test of the values; None when they were not tested.
        p_value_missing: p-value of the test of the shares of missing values; None when nothing is missing on either side.
        missing_share_reference: Share of rows without a value.
        missing_share_current: Share of rows without a value.
        values_reference: Number of values.
        values_current: Number of values.
        new_categories: Share of current values in each category that the reference does not know.
    """

    name: str
    kind: Kind
    missing_share_reference: float
    missing_share_current: float
    values_reference: int
    values_current: int
    effects: dict[str, float | None] = field(default_factory=dict)
    p_value: float | None = None
    p_value_missing: float | None = None
    new_categories: dict[str, float] = field(default_factory=dict)


@dataclass
class FeatureDrift:
    """What is concluded of one feature.

    Attributes:
        measured: What was measured.
        p_value_corrected: The test of the values after correction; None when they were not tested.
        p_value_missing_corrected: The test of missing values after correction.
        drift: Whether it drifts.
        severity: ``none``, ``slight``, ``moderate`` or ``severe``.
        reason: Why, in one sentence.
    """

    measured: Measured
    p_value_corrected: float | None
    p_value_missing_corrected: float | None
    drift: bool
    severity: str
    reason: str


def measure_feature(name: str, kind: Kind, reference: pd.Series, current: pd.Series, *, config: DriftConfig, tests: TabularTests) -> Measured:
    """Measure one feature in both samples.

    Missing values are split off first, because tests of values do not take them; their share is measured by itself.

    Args:
        name: The column.
        kind: What it holds.
        reference: Its values in the reference.
        current: Its values in the window.
        config: How many values are needed.
        tests: Where p-values come from.

    Raises:
        DriftError: The column holds infinite values.
    """
    values_before, values_now = reference.dropna(), current.dropna()
    missing_before, missing_now = len(reference) - len(values_before), len(current) - len(values_now)
    share_before, share_now = missing_before / len(reference), missing_now / len(current)
    measured = Measured(name, kind, share_before, share_now, len(values_before), len(values_now))
    measured.effects["missing_share_change"] = share_now - share_before
    if missing_before or missing_now:
        measured.p_value_missing = share_test(missing_before, len(reference), missing_now, len(current))
    enough = min(len(values_before), len(values_now)) >= config.minimum_rows
    if kind == "number":
        numbers_before, numbers_now = _finite(name, values_before, "reference"), _finite(name, values_now, "current")
        if enough:
            _measure_numbers(measured, numbers_before, numbers_now, tests)
    elif kind == "category" and enough:
        _measure_categories(measured, values_before.astype(str).tolist(), values_now.astype(str).tolist(), tests)
    return measured


def _finite(name: str, values: pd.Series, side: str) -> NDArray[np.float64]:
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise DriftError(
            f"column {name!r} holds {infinite} infinite values in the {side} sample: expected finite numbers or missing values. "
            "Mend them at the source, or turn them into missing values."
        )
    return numbers


def _measure_numbers(measured: Measured, before: NDArray[np.float64], now: NDArray[np.float64], tests: TabularTests) -> None:
    measured.effects["standardised_mean_difference"] = effects.standardised_mean_difference(before, now)
    measured.effects["jensen_shannon_distance"] = effects.jensen_shannon_distance(*effects.quantile_counts(before, now))
    measured.p_value = 1.0 if before.min() == before.max() == now.min() == now.max() else tests.numbers(before, now)


def _measure_categories(measured: Measured, before: list[str], now: list[str], tests: TabularTests) -> None:
    import numpy as np

    names, counts_before, counts_now = effects.category_counts(before, now)
    measured.effects["jensen_shannon_distance"] = effects.jensen_shannon_distance(counts_before, counts_now)
    measured.new_categories = {name: float(count) / len(now) for name, known, count in zip(names, counts_before, counts_now, strict=True) if known == 0}
    measured.effects["new_category_share"] = sum(measured.new_categories.values())
    codes = merged_codes(counts_before, counts_now)
    # The chi-squared test needs two cells at least; one category on both sides is the same on both sides.
    measured.p_value = tests.categories(np.repeat(codes, counts_before.astype(int)), np.repeat(codes, counts_now.astype(int))) if codes.max() > 0 else 1.0


def conclude(measured: Measured, p_value: float | None, p_value_missing: float | None, config: DriftConfig) -> FeatureDrift:
    """Conclude from what was measured: drift needs significance and an effect that reaches its floor.

    The severity is that of the largest multiple of a floor: from one, slight; from ``moderate_multiple``, moderate; from
    ``severe_multiple``, severe.

    Args:
        measured: What was measured.
        p_value: Corrected p-value of the values.
        p_value_missing: Corrected p-value of the missing values.
        config: Floors and significance.
    """
    multiples: dict[str, float] = {}
    for effect, floor in config.floors().items():
        size = measured.effects.get(effect)
        p = p_value_missing if effect == "missing_share_change" else p_value
        if size is not None and p is not None and p < config.significance and abs(size) >= floor:
            multiples[effect] = abs(size) / floor
    if not multiples:
        return FeatureDrift(measured, p_value, p_value_missing, drift=False, severity="none", reason=_quiet_reason(measured, p_value, p_value_missing, config))
    largest = max(multiples.values())
    severity = "severe" if largest >= config.severe_multiple else "moderate" if largest >= config.moderate_multiple else "slight"
    found = ", ".join(
        f"{effect.replace('_', ' ').replace('jensen shannon', 'Jensen-Shannon')} {measured.effects[effect]:.3g} (floor {config.floors()[effect]:g})"
        for effect in sorted(multiples, key=lambda name: multiples[name], reverse=True)
    )
    return FeatureDrift(measured, p_value, p_value_missing, drift=True, severity=severity, reason=f"Changed: {found}.")


def _quiet_reason(measured: Measured, p_value: float | None, p_value_missing: float | None, config: DriftConfig) -> str:
    if measured.kind == "empty":
        return "There is no value on either side."
    if p_value is None:
        return (
            f"Too few values to compare: {measured.values_reference:,} in the reference and {measured.values_current:,} now, "
            f"at least {config.minimum_rows} are needed on both sides."
        )
    if min(p_value, 1.0 if p_value_missing is None else p_value_missing) < config.significance:
        return "Significant, but every effect is below its floor: too small to matter."
    return "No significant change."
