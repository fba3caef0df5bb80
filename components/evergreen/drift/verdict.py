"""From features to one verdict on the dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.drift.features import SEVERITIES, FeatureDrift

if TYPE_CHECKING:
    from evergreen.drift.config import DriftConfig

METHOD = (
    "Kolmogorov-Smirnov test for numbers, chi-squared test for categories, Fisher's exact test for shares of missing values; p-values corrected by "
    "Benjamini and Hochberg; a feature drifts when a change is significant and its effect reaches a floor"
)


@dataclass
class DriftResult:
    """What detect_drift found.

    Attributes:
        verdict: ``drift``, ``no drift``, ``insufficient`` or ``no champion``.
        severity: ``none``, ``slight``, ``moderate`` or ``severe``.
        sentence: The verdict in one sentence, with numbers.
        features: Conclusions, the most severe first.
        share_drifted: Share of the compared features that drift.
        rows: Rows of ``reference`` and ``current``, and how many of each were sampled.
        library: Where p-values come from.
        left_out: Why each column that was not compared was left out.
    """

    verdict: str
    severity: str
    sentence: str
    features: list[FeatureDrift] = field(default_factory=list)
    share_drifted: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    library: str = "none"
    left_out: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "verdict": self.verdict,
            "severity": self.severity,
            "sentence": self.sentence,
            "share_drifted": self.share_drifted,
            "features": [_feature_json(feature) for feature in self.features],
            "rows": self.rows,
            "method": METHOD,
            "library": self.library,
            "new_categories": {feature.measured.name: feature.measured.new_categories for feature in self.features if feature.measured.new_categories},
            "left_out": self.left_out,
        }


def _feature_json(feature: FeatureDrift) -> dict[str, Any]:
    measured = feature.measured
    return {
        "name": measured.name,
        "kind": measured.kind,
        "drift": feature.drift,
        "severity": feature.severity,
        "p_value": measured.p_value,
        "p_value_corrected": feature.p_value_corrected,
        "p_value_missing": measured.p_value_missing,
        "p_value_missing_corrected": feature.p_value_missing_corrected,
        "effects": measured.effects,
        "reason": feature.reason,
        "missing_share_reference": measured.missing_share_reference,
        "missing_share_current": measured.missing_share_current,
    }


def dataset_severity(severities: list[str], config: DriftConfig) -> str:
    """Return how severe the drift of a dataset is.

    It is the severity of its worst feature, held down by how many features drift: below ``severe_share_drifted`` of them
    it is moderate at most, below ``moderate_share_drifted`` slight at most.

    Args:
        severities: The severity of each compared feature.
        config: The shares.
    """
    drifted = [severity for severity in severities if severity != "none"]
    if not drifted:
        return "none"
    share = len(drifted) / len(severities)
    ceiling = "severe" if share >= config.severe_share_drifted else "moderate" if share >= config.moderate_share_drifted else "slight"
    worst = max(SEVERITIES.index(severity) for severity in drifted)
    return SEVERITIES[min(worst, SEVERITIES.index(ceiling))]


def conclude_dataset(features: list[FeatureDrift], rows: dict[str, int], *, config: DriftConfig, library: str, left_out: dict[str, str]) -> DriftResult:
    """Return the verdict on a dataset whose features were compared.

    Args:
        features: The conclusions, in any order.
        rows: Numbers of rows.
        config: What severity means.
        library: Where p-values come from.
        left_out: Why columns were left out.
    """
    ordered = sorted(features, key=_urgency)
    drifted = [feature for feature in ordered if feature.drift]
    compared = [feature for feature in ordered if feature.measured.p_value is not None or feature.drift]
    common: dict[str, Any] = {"features": ordered, "rows": rows, "library": library, "left_out": left_out}
    if not compared:
        return DriftResult("insufficient", "none", _insufficient_sentence(features, rows, config), **common)
    if not drifted:
        sentence = f"No drift: none of {len(compared)} features changed by an amount that is both significant and large enough."
        return DriftResult("no drift", "none", sentence, **common)
    severity = dataset_severity([feature.severity for feature in compared], config)
    named = ", ".join(f"{feature.measured.name} ({feature.severity})" for feature in drifted[:3])
    more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""
    sentence = f"{severity.capitalize()} drift: {len(drifted)} of {len(compared)} features changed: {named}{more}."
    return DriftResult("drift", severity, sentence, share_drifted=len(drifted) / len(compared), **common)


def _insufficient_sentence(features: list[FeatureDrift], rows: dict[str, int], config: DriftConfig) -> str:
    if not features and min(rows["reference"], rows["current"]) >= config.minimum_rows:
        return "Cannot tell: no column of the two datasets can be compared."
    return (
        f"Cannot tell: {rows['reference']:,} reference rows and {rows['current']:,} current rows hold too few values; "
        f"at least {config.minimum_rows} of a feature are needed on both sides."
    )


def _urgency(feature: FeatureDrift) -> tuple[int, float, float, str]:
    sizes = [abs(size) for size in feature.measured.effects.values() if size is not None]
    p_value = 1.0 if feature.p_value_corrected is None else feature.p_value_corrected
    return (-SEVERITIES.index(feature.severity), -max(sizes, default=0.0), p_value, feature.measured.name)
