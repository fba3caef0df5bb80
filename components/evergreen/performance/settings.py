"""The section ``performance`` of the policy file: how a champion's performance is watched."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergreen.metrics.slice_rule import SliceRule  # noqa: TC001  # pydantic reads annotations at run time
from evergreen.settings.strict import StrictSettings

DEFAULT_MARGIN, DEFAULT_MINIMUM_ROWS, DEFAULT_HORIZON_DAYS = 0.0, 20, 30.0


class PerformanceSettings(StrictSettings):
    """How performance is watched.

    Attributes:
        margin: Smallest drop that matters, in the metric's unit; 0 means that significance alone decides.
        minimum_rows: Fewest labelled rows to score on.
        horizon_days: Labels that come later than so many days after the prediction are not used, where predictions are logged.
        slices: Parts of the rows that are scored on their own: every value of a column, or where an expression holds.
        slice_minimum_rows: Fewest rows of a slice that is scored.
        estimate: ``auto`` estimates the score from calibrated confidences where labels are missing, ``off`` does not.
        maximum_calibration_error: From this expected calibration error on, confidences are not trusted for an estimate.
    """

    margin: Annotated[float, Field(ge=0)] = DEFAULT_MARGIN
    minimum_rows: Annotated[int, Field(ge=2)] = DEFAULT_MINIMUM_ROWS
    horizon_days: Annotated[float, Field(gt=0)] = DEFAULT_HORIZON_DAYS
    slices: tuple[SliceRule, ...] = ()
    slice_minimum_rows: Annotated[int, Field(ge=2)] = 30
    estimate: Literal["auto", "off"] = "auto"
    maximum_calibration_error: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @model_validator(mode="after")
    def _no_margins(self) -> PerformanceSettings:
        named = next((rule for rule in self.slices if rule.margin is not None), None)
        if named is not None:
            raise ValueError(f"slice {named.column or named.where!r} has a margin, which only the gate knows; here the worst slice is named")
        return self
