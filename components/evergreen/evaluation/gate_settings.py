"""The ``gate`` section of the policy: further metrics, slices, fairness, calibration, stress tests, golden examples and serving."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from evergreen.metrics.slice_rule import SliceRule  # noqa: TC001  # pydantic reads annotations at run time
from evergreen.settings.strict import StrictSettings

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Fairness(StrictSettings):
    """Limits for gaps between groups.

    Attributes:
        groups: Columns whose values are the groups.
        favourable: The favourable prediction. Defaults to the last class.
        demographic_parity: Maximum difference in the share of favourable predictions.
        equalised_odds: Maximum difference in true or false positive rates.
    """

    groups: Annotated[list[str], Field(min_length=1)]
    favourable: Any = None
    demographic_parity: Share | None = None
    equalised_odds: Share | None = None


class Golden(StrictSettings):
    """A row whose prediction must be the same for every model; numbers may differ by ``tolerance``."""

    row: dict[str, Any]
    expected: Any
    tolerance: Annotated[float, Field(ge=0)] = 0.0


class Serving(StrictSettings):
    """Limits for the model in a separate process; values without a limit are only measured and reported."""

    check: bool = True
    p99_milliseconds: Positive | None = None
    model_megabytes: Positive | None = None
    memory_megabytes: Positive | None = None


class GateSettings(StrictSettings):
    """The gate's requirements in addition to the comparison on the first metric.

    Attributes:
        test: ``bootstrap``, or ``analytic``: DeLong for roc_auc and the paired proportions of McNemar's table for accuracy.
        other_metrics: Scorers on which the challenger must not be worse by more than the given margin.
        floors: Minimum score by scorer.
        slices: Slices on which the challenger must not be worse.
        slice_margin: Margin for all slices, in units of the metric.
        slice_minimum_rows: Slices with fewer rows are shown but not judged.
        fairness: Limits for gaps between groups.
        calibration_error: Maximum expected calibration error.
        stress_change: Maximum share of rows whose predicted class may change when one feature is corrupted; for regression, the maximum mean
            change in standard deviations of the label.
        golden: Rows with required predictions.
        serving: Limits for the model in a fresh process.
        when_unclear: Ruling when a comparison is inconclusive: ``reject`` or ``promote``.
        stale_champion: What a challenger must prove against a champion that the policy found stale (its performance is degraded or was until recently,
            or it is too old): ``higher_score`` on the same rows, because there already is evidence against the champion, or
            ``proven_better``, an interval of the difference above the margin, as against any other champion.
        allow_unscorable_champion: Whether a champion that can no longer be scored on the data may be replaced by a
            challenger that beats a constant.
        allow_baseline: Whether the constant baseline may replace a champion that is worse than it, while no better model can be trained.
    """

    test: Literal["bootstrap", "analytic"] = "bootstrap"
    other_metrics: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    floors: dict[str, float] = Field(default_factory=dict)
    slices: list[SliceRule] = Field(default_factory=list)
    slice_margin: Annotated[float, Field(ge=0)] = 0.05
    slice_minimum_rows: Annotated[int, Field(ge=10)] = 50
    fairness: Fairness | None = None
    calibration_error: Share | None = None
    stress_change: Positive | None = None
    golden: list[Golden] = Field(default_factory=list)
    serving: Serving = Field(default_factory=Serving)
    when_unclear: Literal["reject", "promote"] = "reject"
    stale_champion: Literal["higher_score", "proven_better"] = "higher_score"
    allow_unscorable_champion: bool = False
    allow_baseline: bool = False
