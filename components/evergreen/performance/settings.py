"""The ``performance`` section of the policy file: how the champion's performance is monitored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergreen.metrics.slice_rule import SliceRule  # noqa: TC001  # pydantic reads annotations at run time
from evergreen.settings.strict import StrictSettings

DEFAULT_MARGIN, DEFAULT_MINIMUM_ROWS, DEFAULT_HORIZON_DAYS = 0.0, 20, 30.0


class ProbeSettings(StrictSettings):
    """How the probe asks whether a new model would be better than the champion.

    Attributes:
        run: Whether to probe.
        minimum_gain: Smallest gain that matters, in units of the metric; None derives it from minimum_gain_share.
        minimum_gain_share: The same as a share of the distance between the constant baseline's score and a perfect score: 0.04 is 0.02 of ROC AUC.
        false_alarms: Probability that a probe calls a model better that is not, over all of its models.
        most_probed_rows: Maximum number of rows on which models and champion are compared.
        most_fitted_rows: Maximum number of rows that a model is fitted on.
        keep_rows: Whether to keep up to 2,000 labelled rows of each window beside the ledger, for the models of later probes to learn from.
    """

    run: bool = True
    minimum_gain: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    minimum_gain_share: Annotated[float, Field(gt=0, lt=1)] = 0.04
    false_alarms: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    most_probed_rows: Annotated[int, Field(ge=50)] = 1000
    most_fitted_rows: Annotated[int, Field(ge=100)] = 5000
    keep_rows: bool = True


class PerformanceSettings(StrictSettings):
    """How performance is monitored.

    Attributes:
        margin: Smallest drop that matters, in units of the metric; 0 means that significance alone decides.
        minimum_rows: Minimum number of labelled rows to score.
        horizon_days: With logged predictions, labels that arrive more than this many days after the prediction are not used.
        slices: Parts of the rows that are scored separately: every value of a column, or the rows that match an expression.
        slice_minimum_rows: Minimum number of rows for scoring a slice.
        estimate: ``auto`` estimates the score from calibrated confidences when labels are missing; ``off`` does not.
        maximum_calibration_error: Maximum expected calibration error at which confidences are trusted for an estimate.
        probe: How to find out whether a new model would be better.
    """

    margin: Annotated[float, Field(ge=0)] = DEFAULT_MARGIN
    minimum_rows: Annotated[int, Field(ge=2)] = DEFAULT_MINIMUM_ROWS
    horizon_days: Annotated[float, Field(gt=0)] = DEFAULT_HORIZON_DAYS
    slices: tuple[SliceRule, ...] = ()
    slice_minimum_rows: Annotated[int, Field(ge=2)] = 30
    estimate: Literal["auto", "off"] = "auto"
    maximum_calibration_error: Annotated[float, Field(gt=0, lt=1)] = 0.05
    probe: ProbeSettings = ProbeSettings()

    @model_validator(mode="after")
    def _no_margins(self) -> PerformanceSettings:
        named = next((rule for rule in self.slices if rule.margin is not None), None)
        if named is not None:
            raise ValueError(f"slice {named.column or named.where!r} has a margin, which only the gate supports; here, the worst slice is reported")
        return self
