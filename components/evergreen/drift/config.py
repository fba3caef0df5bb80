"""What counts as drift: significance, and the smallest effects that matter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class DriftConfig(BaseModel):
    """Settings of drift detection. A feature drifts when the change is significant and one effect reaches its floor.

    Attributes:
        library: Who computes p-values: ``alibi``, ``scipy``, or ``auto``: alibi-detect when it is installed.
        significance: Largest p-value, corrected for the number of tests, of a significant change.
        jensen_shannon_distance: Floor of the Jensen-Shannon distance (0 is the same, 1 is disjoint).
        standardised_mean_difference: Floor of the shift of the mean, in standard deviations of the reference.
        missing_share_change: Floor of the change of the share of missing values.
        new_category_share: Floor of the share of current rows whose category the reference does not know.
        minimum_rows: Fewest values that are compared, on either side.
        sample_rows: Most rows that are compared, on either side; more are sampled at random.
        maximum_categories: A text column with more distinct values in the reference is left out.
        moderate_multiple: From this multiple of its floor on an effect is moderate; below, slight.
        severe_multiple: From this multiple of its floor on an effect is severe.
        moderate_share_drifted: Smallest share of drifted features for which a dataset's drift is more than slight.
        severe_share_drifted: Smallest share of drifted features for which a dataset's drift is severe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: Literal["auto", "alibi", "scipy"] = "auto"
    significance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    jensen_shannon_distance: Share = 0.1
    standardised_mean_difference: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.2
    missing_share_change: Share = 0.05
    new_category_share: Share = 0.02
    minimum_rows: Annotated[int, Field(ge=2)] = 30
    sample_rows: Annotated[int, Field(ge=100)] = 20_000
    maximum_categories: Annotated[int, Field(ge=2)] = 100
    moderate_multiple: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    severe_multiple: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 4.0
    moderate_share_drifted: Annotated[float, Field(ge=0, le=1)] = 0.1
    severe_share_drifted: Annotated[float, Field(ge=0, le=1)] = 0.25

    def floors(self) -> dict[str, float]:
        """Return the floor of each effect by the effect's name."""
        return {
            "jensen_shannon_distance": self.jensen_shannon_distance,
            "standardised_mean_difference": self.standardised_mean_difference,
            "missing_share_change": self.missing_share_change,
            "new_category_share": self.new_category_share,
        }
