"""Combines the conclusions about features into one verdict for the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.results.drift import SEVERITIES, DriftResult, FeatureDrift, MultivariateResult, Severity

if TYPE_CHECKING:
    from evergreen.drift.settings import DriftSettings


def dataset_severity(worst: Severity, share: float, settings: DriftSettings) -> Severity:
    """Return the severity of a dataset's drift.

    It is the severity of the worst feature, limited by the share of features that drifted: at most moderate below
    ``severe_share_drifted``, and at most slight below ``moderate_share_drifted``.

    Args:
        worst: Severity of the worst feature.
        share: Share of features that drifted, weighted by importance if known.
        settings: Settings with the share thresholds.
    """
    ceiling = "severe" if share >= settings.severe_share_drifted else "moderate" if share >= settings.moderate_share_drifted else "slight"
    return SEVERITIES[min(SEVERITIES.index(worst), SEVERITIES.index(ceiling))]


def severity_together(together: MultivariateResult, settings: DriftSettings) -> Severity:
    """Return the severity of a drift that only the joint test shows, based on the classifier's area under the curve."""
    if not together.drift:
        return "none"
    multiple = (together.auc - 0.5) / (settings.classifier_auc - 0.5) if together.auc is not None else 1.0
    return "severe" if multiple >= 2 * settings.severe_multiple else "moderate" if multiple >= settings.moderate_multiple else "slight"


def conclude_dataset(
    features: list[FeatureDrift],
    rows: dict[str, int],
    *,
    settings: DriftSettings,
    together: MultivariateResult,
    left_out: dict[str, str],
    importances: dict[str, float],
    prediction: FeatureDrift | None = None,
    compared_with: str = "",
) -> DriftResult:
    """Return the verdict for a dataset from its compared features.

    Args:
        features: The conclusions in any order.
        rows: Row counts.
        settings: Settings with the severity thresholds.
        together: Result of the joint test of all features.
        left_out: Reasons for columns that were not compared.
        importances: Importance of each feature to the champion; empty when unknown.
        prediction: The conclusion about the champion's predictions. They are no feature: they count in no number or share, and do not make the
            drift of the inputs more severe. If nothing else drifts, their drift is a slight one of the dataset.
        compared_with: The reference rows that were compared, in words.
    """
    ordered = sorted(features, key=_urgency)
    drifted = [feature for feature in ordered if feature.drift]
    compared = [feature for feature in ordered if feature.measured.p_value is not None or feature.drift]
    common: dict[str, Any] = {"features": ordered, "prediction": prediction, "rows": rows, "compared_with": compared_with, "left_out": left_out}
    common["multivariate"] = together
    predicts_otherwise = prediction is not None and prediction.drift
    if not compared and not predicts_otherwise:
        return DriftResult("insufficient", "none", _insufficient_sentence(features, rows, settings), **common)
    if not drifted and not together.drift and not predicts_otherwise:
        sentence = f"No drift: none of {len(compared)} features changed both significantly and enough to matter."
        return DriftResult("no drift", "none", sentence, **common)
    weights = {feature.measured.name: max(0.0, importances.get(feature.measured.name, 0.0)) for feature in compared}
    weighted = sum(weights.values()) > 0
    if not weighted:
        weights = dict.fromkeys(weights, 1.0)
    share = sum(weights[feature.measured.name] for feature in drifted) / sum(weights.values()) if drifted else 0.0
    alone = dataset_severity(drifted[0].severity, share, settings) if drifted else "slight" if predicts_otherwise else "none"
    severity = max(alone, severity_together(together, settings), key=SEVERITIES.index)
    sentence = _drift_sentence(severity, drifted, len(compared), together, share if weighted else None)
    if predicts_otherwise and prediction is not None:
        sentence = _with_prediction(sentence if drifted or together.drift else "", prediction, len(compared))
    return DriftResult("drift", severity, sentence, share_drifted=share, weighted_by_importance=weighted, **common)


def _drift_sentence(severity: str, drifted: list[FeatureDrift], compared: int, together: MultivariateResult, weight: float | None) -> str:
    if not drifted:
        return f"{severity.capitalize()} drift that no single feature shows: {together.sentence}"
    named = ", ".join(f"{feature.measured.name} ({feature.severity})" for feature in drifted[:3])
    more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""
    importance = f", with {weight:.0%} of the importance to the champion" if weight is not None else ""
    return f"{severity.capitalize()} drift: {len(drifted)} of {compared} features changed{importance}: {named}{more}."


def _with_prediction(sentence: str, prediction: FeatureDrift, compared: int) -> str:
    if sentence:
        return f"{sentence} The champion's predictions drift as well ({prediction.severity})."
    return f"Slight drift: none of {compared} features changed enough to matter, but the champion's predictions drift ({prediction.severity})."


def _insufficient_sentence(features: list[FeatureDrift], rows: dict[str, int], settings: DriftSettings) -> str:
    if not features:
        return "Insufficient data: the two datasets have no comparable columns."
    return (
        f"Insufficient data: {rows['reference']:,} reference rows and {rows['current']:,} current rows contain too few values; "
        f"at least {settings.minimum_rows} values per feature are needed on each side."
    )


def _urgency(feature: FeatureDrift) -> tuple[int, float, float, str]:
    sizes = [abs(size) for size in feature.measured.effects.values() if size is not None]
    return (-SEVERITIES.index(feature.severity), -max(sizes, default=0.0), min(feature.corrected.values(), default=1.0), feature.measured.name)
