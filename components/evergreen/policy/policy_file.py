"""The policy: which triggers are enabled, and their thresholds."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from evergreen.errors import PolicyError
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.performance.settings import PerformanceSettings
from evergreen.policy.feedback_settings import FeedbackSettings
from evergreen.settings.reading import read_settings
from evergreen.settings.strict import StrictSettings
from evergreen.training.settings import TrainingSettings

TriggerName = Literal[
    "no_champion",
    "explicit_request",
    "external_event",
    "performance",
    "probe",
    "follow_up",
    "input_drift",
    "prediction_drift",
    "feedback",
    "new_data",
    "model_age",
]
VetoName = Literal["insufficient_data", "contract_warnings", "rollout_under_way"]
Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Hysteresis(StrictSettings):
    """How often a trigger must fire in recent windows, including the newest, before it retrains; severe drift needs no second window.

    Attributes:
        needed: Number of windows in which the trigger must fire.
        windows: Number of most recent windows considered.
        certain_standard_errors: A performance drop of at least this many standard errors needs no second window. By chance, a drop of
            three standard errors occurs in about one window in 700.
    """

    needed: Annotated[int, Field(ge=1)] = 2
    windows: Annotated[int, Field(ge=1)] = 2
    certain_standard_errors: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0

    @model_validator(mode="after")
    def _check_order(self) -> Hysteresis:
        if self.needed > self.windows:
            raise ValueError(f"needed {self.needed} exceeds windows {self.windows} and can never be reached")
        return self


class Budget(StrictSettings):
    """Maximum number of retrainings in a period.

    Attributes:
        retrains: Maximum number of retrainings.
        days: Length of the period before the end of the window, in days.
    """

    retrains: Annotated[int, Field(ge=1)]
    days: Days


class Policy(StrictSettings):
    """When and how to retrain, and what a challenger must prove.

    Attributes:
        version: Version of the file format.
        triggers: Triggers that may start a retraining; the others are still reported.
        retrain_on_drift_severity: Lowest drift severity that retrains while performance is unknown.
        maximum_model_age_days: Age of the champion's newest training row, in days, at which it is retrained; None means never.
        maximum_model_age_spans: The same age, in multiples of the time span of the champion's training data: at 3, a champion fitted on one year is
            retrained after three more years, when four years of data are available. None means never; if both are set, the shorter age applies.
        minimum_new_rows: Number of new rows since the champion was fitted that triggers a retraining; None means never.
        follow_up_windows: Number of windows after a promotion in response to a change of performance in which to retrain again whenever the rows since
            the change have doubled.
        minimum_rows_since_change: Number of labelled rows since the champion's errors changed below which performance, probe and feedback wait, because fewer
            rows teach a model nothing.
        training_window: ``since_change``: while the champion's performance holds, a challenger learns from the training window and from all older rows
            since performance last changed (since the champion's first row if it never did), because more rows with the same relation between inputs
            and label make a better model. When it does not, the rows to learn from are chosen among several windows. ``fixed``: a challenger always
            learns from the training window, and from nothing else.
        hysteresis: In how many recent windows performance, drift or feedback must fire. Requests, events, the probe, age and new rows
            need no second window.
        back_off: Whether performance and drift wait 2 windows after the third challenger that they requested was rejected, 4 after the fourth, and so
            on: if three challengers were no improvement, another one in the next window is unlikely to be.
        cooldown_days: Days after a retraining during which there is no other; None for no cool-down.
        budget: Maximum number of retrainings in a period; None for no limit.
        event: Short description of an external event that calls for a retraining, for a run started because of it. Keep it at ``none`` in a schedule's
            policy; otherwise every run retrains.
        vetoes: Conditions that block a retraining: ``insufficient_data`` (neither drift nor performance is known), ``contract_warnings`` (the
            data passed with warnings), ``rollout_under_way`` (a version is waiting for approval or being rolled out).
        retrain_on_estimate: Whether a score estimated without labels may retrain when there is no measured score and the inputs do not drift
            severely. Far from its training data, a model's confidences cannot be trusted.
        performance: How performance is monitored.
        feedback: How user feedback is weighted.
        training: How a challenger uses its rows.
        gate: What a challenger must prove in addition to the comparison on the first metric.
    """

    version: Literal[1] = 1
    triggers: tuple[TriggerName, ...] = get_args(TriggerName)
    retrain_on_drift_severity: Literal["slight", "moderate", "severe"] = "severe"
    maximum_model_age_days: Days | None = None
    maximum_model_age_spans: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = 3.0
    minimum_new_rows: Annotated[int, Field(ge=1)] | None = None
    follow_up_windows: Annotated[int, Field(ge=0)] = 4
    minimum_rows_since_change: Annotated[int, Field(ge=0)] = 60
    training_window: Literal["since_change", "fixed"] = "since_change"
    hysteresis: Hysteresis = Hysteresis()
    back_off: bool = True
    cooldown_days: Days | None = None
    budget: Budget | None = None
    event: Annotated[str, Field(min_length=1)] = "none"
    vetoes: tuple[VetoName, ...] = ()
    retrain_on_estimate: bool = False
    performance: PerformanceSettings = PerformanceSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    training: TrainingSettings = TrainingSettings()
    gate: GateSettings = GateSettings()

    @model_validator(mode="after")
    def _check_contradictions(self) -> Policy:
        if self.cooldown_days is not None and self.maximum_model_age_days is not None and self.cooldown_days > self.maximum_model_age_days:
            raise ValueError(f"cooldown_days {self.cooldown_days:g} is longer than maximum_model_age_days {self.maximum_model_age_days:g}")
        return self


def read_policy(value: str) -> Policy:
    """Read the policy from the ``policy_config`` parameter.

    Args:
        value: ``default``, inline YAML or JSON, or the path or ``gs://`` URI of a file.

    Raises:
        PolicyError: The file cannot be read, or contains an invalid key, trigger or number.
    """
    return read_settings(value, Policy, parameter="policy_config", error=PolicyError)
