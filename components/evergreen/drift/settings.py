"""Drift settings: the significance level, and the smallest effects that matter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal

from evergreen.errors import MissingExtraError
from evergreen.settings.bounds import Bounds

Share = Annotated[float, Bounds(gt=0, le=1)]
Positive = Annotated[float, Bounds(gt=0, lt=math.inf)]
Multiple = Annotated[float, Bounds(ge=1, lt=math.inf)]
Detectors = Literal["auto", "profile", "profile,classifier", "profile,alibi", "profile,mmd", "profile,lsdd"]
SecondDetector = Literal["none", "classifier", "alibi", "mmd", "lsdd"]


# A dataclass that pydantic validates only if settings are given. With default settings pydantic is not imported, which would
# take as long as counting half a million rows.
@dataclass(frozen=True)
class DriftSettings:
    """Settings of drift detection. A feature drifts if a change is significant and its effect reaches its floor.

    Attributes:
        detectors: ``profile`` (each feature separately), ``profile,classifier`` (additionally all features jointly, with scikit-learn),
            ``profile,alibi`` (jointly with alibi-detect's classifier), ``profile,mmd`` or ``profile,lsdd`` (jointly with alibi-detect's maximum mean
            discrepancy or least-squares density difference, with PyTorch), or ``auto``: alibi-detect's classifier if installed, otherwise scikit-learn.
        second_stage: ``always``, or ``when-quiet`` to test all features jointly only if none drifts separately.
        reference_season: ``auto`` compares only with reference rows of the same days of the year, a week more on each side, if the reference covers more
            than a year, the current data covers less than 330 days, and these days hold enough rows; ``same-period`` always does; ``none`` never does.
        significance: Largest p-value of a significant change, corrected for the number of tests.
        jensen_shannon_distance: Floor of the Jensen-Shannon distance (0 is identical, 1 is disjoint).
        standardised_mean_difference: Floor of the shift of the mean, in standard deviations of the reference.
        spread_change: Floor of the change of the middle spread (16% to 84% quantile), as the logarithm of the ratio.
        tail_share_change: Floor of the change of the share of values outside the reference's 0.1% and 99.9% quantiles.
        missing_share_change: Floor of the change of the share of missing values.
        new_category_share: Floor of the share of current rows whose category is not in the reference.
        correlation_change: Floor of the change of a rank correlation.
        classifier_auc: Floor of the area under the ROC curve of a classifier that distinguishes reference from current rows.
        minimum_rows: Minimum number of values of a feature on each side to be compared.
        minimum_rows_together: Minimum number of rows on each side to test all features jointly.
        maximum_categories: Text columns with more distinct values in the reference are not compared.
        moderate_multiple: An effect is moderate from this multiple of its floor; below, it is slight.
        severe_multiple: An effect is severe from this multiple of its floor.
        moderate_share_drifted: Minimum share of drifted features for a dataset's drift to be more than slight.
        severe_share_drifted: Minimum share of drifted features for a dataset's drift to be severe.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    detectors: Detectors = "auto"
    second_stage: Literal["always", "when-quiet"] = "always"
    reference_season: Literal["auto", "same-period", "none"] = "auto"
    significance: Annotated[float, Bounds(gt=0, lt=1)] = 0.01
    jensen_shannon_distance: Share = 0.1
    standardised_mean_difference: Positive = 0.2
    spread_change: Positive = 0.06
    tail_share_change: Share = 0.0025
    missing_share_change: Share = 0.03
    new_category_share: Share = 0.02
    correlation_change: Share = 0.2
    classifier_auc: Annotated[float, Bounds(gt=0.5, lt=1)] = 0.55
    minimum_rows: Annotated[int, Bounds(ge=2)] = 30
    minimum_rows_together: Annotated[int, Bounds(ge=50)] = 200
    maximum_categories: Annotated[int, Bounds(ge=2)] = 100
    moderate_multiple: Multiple = 2.0
    severe_multiple: Multiple = 4.0
    moderate_share_drifted: Annotated[float, Bounds(ge=0, le=1)] = 0.1
    severe_share_drifted: Annotated[float, Bounds(ge=0, le=1)] = 0.25

    def floors(self) -> dict[str, float]:
        """Return the floors of a feature's effects by effect name."""
        return {
            "jensen_shannon_distance": self.jensen_shannon_distance,
            "standardised_mean_difference": self.standardised_mean_difference,
            "spread_change": self.spread_change,
            "tail_share_change": self.tail_share_change,
            "missing_share_change": self.missing_share_change,
            "new_category_share": self.new_category_share,
        }

    def second_detector(self) -> SecondDetector:
        """Return the detector that tests all features jointly.

        Raises:
            MissingExtraError: alibi-detect, or PyTorch, is required but not installed.
        """
        if self.detectors == "profile":
            return "none"
        if self.detectors == "profile,classifier":
            return "classifier"
        installed = find_spec("alibi_detect") is not None
        if self.detectors == "auto":
            return "alibi" if installed else "classifier"
        if not installed:
            raise MissingExtraError(f"drift detectors {self.detectors!r}", extra="alibi")
        if self.detectors == "profile,alibi":
            return "alibi"
        if find_spec("torch") is None:
            raise MissingExtraError(f"drift detectors {self.detectors!r}", extra="torch")
        return "mmd" if self.detectors == "profile,mmd" else "lsdd"
