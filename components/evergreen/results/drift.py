"""The result of detect_drift."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from evergreen.errors import ArtifactError
from evergreen.results.reading import INLINE, JsonResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evergreen.errors import EvergreenError

Severity = Literal["none", "slight", "moderate", "severe"]
DriftVerdict = Literal["drift", "no drift", "insufficient", "no champion"]
MultivariateVerdict = Literal["drift", "no drift", "insufficient", "not looked at"]

SEVERITIES: tuple[Severity, ...] = ("none", "slight", "moderate", "severe")
PREDICTION = "prediction of the champion"
"""Name of the champion's predictions where they stand beside the features; they are not a feature."""

METHOD = (
    "Kolmogorov-Smirnov and chi-squared tests on bins for numbers, chi-squared test for categories, tests of equal shares for missing values and tails; "
    "p-values corrected by Benjamini and Hochberg; a feature drifts if a change is significant and its effect reaches a floor"
)
LIBRARY = "evergreen"


@dataclass
class FeatureMeasurement:
    """Measurements of one feature.

    Attributes:
        name: Name of the column.
        kind: ``number``, ``category`` or ``empty``.
        missing_share_reference: Share of reference rows without a value.
        missing_share_current: Share of current rows without a value.
        values_reference: Number of reference values.
        values_current: Number of current values.
        infinite_reference: Number of infinite reference values.
        infinite_current: Number of infinite current values.
        effects: Size of each effect; effects of the values are absent if there are too few values to compare.
        p_value: p-value of the test of the values; None if they were not tested.
        p_value_missing: p-value of the test of the missing shares; None if nothing is missing on either side.
        p_value_tail: p-value of the test of the tail shares; None if there are no tails.
        new_categories: Share of current values in each category that is not in the reference, for the largest twenty.
    """

    name: str
    kind: str = "number"
    missing_share_reference: float = 0.0
    missing_share_current: float = 0.0
    values_reference: int = 0
    values_current: int = 0
    infinite_reference: int = 0
    infinite_current: int = 0
    effects: dict[str, float | None] = field(default_factory=dict)
    p_value: float | None = None
    p_value_missing: float | None = None
    p_value_tail: float | None = None
    new_categories: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureDrift:
    """The conclusion about one feature.

    Attributes:
        measured: The measurements.
        corrected: Corrected p-values by test name, for the tests that were performed.
        drift: Whether the feature drifts.
        severity: ``none``, ``slight``, ``moderate`` or ``severe``.
        reason: The reason in one sentence.
    """

    measured: FeatureMeasurement = field(metadata=INLINE)
    corrected: dict[str, float] = field(default_factory=dict)
    drift: bool = False
    severity: Severity = "none"
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the conclusion as plain JSON values."""
        measured = self.measured
        return {
            "name": measured.name,
            "kind": measured.kind,
            "drift": self.drift,
            "severity": self.severity,
            "p_value": measured.p_value,
            "p_value_corrected": self.corrected.get("p_value"),
            "p_value_missing": measured.p_value_missing,
            "p_value_tail": measured.p_value_tail,
            "effects": measured.effects,
            "reason": self.reason,
            "missing_share_reference": measured.missing_share_reference,
            "missing_share_current": measured.missing_share_current,
            "infinite_reference": measured.infinite_reference,
            "infinite_current": measured.infinite_current,
        }


@dataclass
class CorrelationChange:
    """A pair of numeric columns whose rank correlation changed.

    Attributes:
        features: The two columns.
        before: Their correlation in the reference data.
        now: Their correlation in the current data.
        p_value: p-value, corrected for the number of pairs.
    """

    features: tuple[str, ...]
    before: float
    now: float
    p_value: float


@dataclass
class MultivariateResult:
    """Result of the joint test of all features.

    Attributes:
        verdict: ``drift``, ``no drift``, ``insufficient`` or ``not looked at``.
        method: The test method.
        library: The library that provides it.
        p_value: p-value of the test; None if there was no test.
        distance: Distance measured by a kernel test; None for other tests.
        auc: Area under the ROC curve of a classifier that distinguishes reference from current rows; 0.5 is chance.
        rows: Number of rows used, from both sides.
        features: Share of the classifier's performance that each feature explains, for the largest ten.
        correlations: At most ten pairs whose correlation changed, largest change first.
        tabular_p_values: p-values of alibi-detect's TabularDrift on the sample, for information only.
        sentence: The result in one sentence.
    """

    verdict: MultivariateVerdict
    method: str = "none"
    library: str = "none"
    p_value: float | None = None
    distance: float | None = None
    auc: float | None = None
    rows: int = 0
    features: dict[str, float] = field(default_factory=dict)
    correlations: list[CorrelationChange] = field(default_factory=list)
    tabular_p_values: dict[str, float] = field(default_factory=dict)
    sentence: str = ""

    @property
    def drift(self) -> bool:
        """Whether there is drift."""
        return self.verdict == "drift"

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {**asdict(self), "drift": self.drift}


NOT_LOOKED_AT = MultivariateResult("not looked at", sentence="The features were not tested together.")


@dataclass(frozen=True)
class DriftResult(JsonResult):
    """The result of detect_drift.

    Attributes:
        verdict: ``drift``, ``no drift``, ``insufficient`` or ``no champion``.
        severity: ``none``, ``slight``, ``moderate`` or ``severe``.
        sentence: The verdict in one sentence, with numbers.
        features: Conclusions about the features, most severe first.
        share_drifted: Share of the compared features that drifted, weighted by importance if known.
        weighted_by_importance: Whether importances were known.
        rows: Number of rows of ``reference`` and ``current``.
        multivariate: Result of the joint test of all features.
        left_out: Reason for each column that was not compared.
        prediction: The conclusion about the champion's predictions, which are not a feature; None if they were not compared.
        compared_with: The reference rows that were compared, in words: all of them, or those of the same season.
    """

    written_by: ClassVar[str] = "detect_drift"

    verdict: DriftVerdict
    severity: Severity = "none"
    sentence: str = ""
    features: list[FeatureDrift] = field(default_factory=list)
    share_drifted: float | None = 0.0
    weighted_by_importance: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    multivariate: MultivariateResult = field(default_factory=lambda: NOT_LOOKED_AT)
    left_out: dict[str, str] = field(default_factory=dict)
    prediction: FeatureDrift | None = None
    compared_with: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any], *, source: str, error: type[EvergreenError] = ArtifactError) -> DriftResult:
        """Return the result read from JSON; see `JsonResult.from_json`."""
        # Absent does not mean 0: results of older versions may lack this key.
        content = {**content, "share_drifted": content.get("share_drifted")}
        features, new = content.get("features"), content.get("new_categories")
        known = new if isinstance(new, dict) else {}
        if isinstance(features, list):
            nested = [_nested(feature, known) for feature in features]
            # Until 0.1.0, the predictions were counted among the features.
            predictions = [feature for feature in nested if _is_prediction(feature)]
            content = {"prediction": predictions[0] if predictions else None, **content, "features": [entry for entry in nested if entry not in predictions]}
        if isinstance(content.get("prediction"), dict):
            content = {**content, "prediction": _nested(content["prediction"], known)}
        return super().from_json(content, source=source, error=error)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        library = self.multivariate.library
        return {
            "drift": self.verdict == "drift",
            "verdict": self.verdict,
            "severity": self.severity,
            "sentence": self.sentence,
            "share_drifted": self.share_drifted,
            "weighted_by_importance": self.weighted_by_importance,
            "features": [feature.to_json() for feature in self.features],
            "prediction": self.prediction.to_json() if self.prediction else None,
            "rows": self.rows,
            "compared_with": self.compared_with,
            "multivariate": self.multivariate.to_json(),
            "method": METHOD,
            "library": library if library != "none" else LIBRARY,
            "new_categories": {entry.measured.name: entry.measured.new_categories for entry in self.all_columns if entry.measured.new_categories},
            "left_out": self.left_out,
        }

    @property
    def compared(self) -> bool:
        """Whether the number of drifted features is known: insufficient data does not mean that no feature drifted."""
        return self.verdict in ("drift", "no drift")

    @property
    def current_rows(self) -> int | None:
        """Number of rows in the monitored window; None if they were not counted."""
        return self.rows.get("current")

    @property
    def drifted(self) -> list[FeatureDrift]:
        """The features that drifted, most severe first."""
        return [feature for feature in self.features if feature.drift]

    @property
    def all_columns(self) -> list[FeatureDrift]:
        """The conclusions about the features, and about the champion's predictions if they were compared."""
        return [*self.features, *([self.prediction] if self.prediction else [])]


def _is_prediction(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("name") == PREDICTION


def _nested(feature: Any, new_categories: dict[str, Any]) -> Any:
    """Return a feature's JSON in the layout of the types, which place or name some values differently."""
    if not isinstance(feature, dict):
        return feature
    corrected = {} if feature.get("p_value_corrected") is None else {"p_value": feature["p_value_corrected"]}
    return {**feature, "corrected": corrected, "new_categories": new_categories.get(str(feature.get("name")))}
