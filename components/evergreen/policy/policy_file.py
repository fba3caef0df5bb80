"""The policy: which triggers count, and from where on."""

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
    """A trigger has to fire in so many of the last windows, the newest among them, before it retrains; severe drift needs no second window.

    Attributes:
        needed: In how many windows.
        windows: Of how many.
        certain_standard_errors: A drop in performance of at least so many of its standard errors needs no second window; chance alone brings
            three about in one window of 700.
    """

    needed: Annotated[int, Field(ge=1)] = 2
    windows: Annotated[int, Field(ge=1)] = 2
    certain_standard_errors: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0

    @model_validator(mode="after")
    def _check_order(self) -> Hysteresis:
        if self.needed > self.windows:
            raise ValueError(f"needed {self.needed} of windows {self.windows} can never be reached")
        return self


class Budget(StrictSettings):
    """At most so many retrainings in so many days.

    Attributes:
        retrains: How many.
        days: In how many days before the window's end.
    """

    retrains: Annotated[int, Field(ge=1)]
    days: Days


class Policy(StrictSettings):
    """When to retrain, how, and what a challenger has to show.

    Attributes:
        version: Version of this file's layout.
        triggers: The triggers that may cause a retraining; the others are still shown.
        retrain_on_drift_severity: Smallest severity of drift that retrains while performance cannot be told.
        maximum_model_age_days: Age of the champion's newest training row at which it is retrained; None is never.
        maximum_model_age_spans: The same age, in lengths of the time that the champion learned from: at 3 a champion fitted on one year is retrained
            after three more, when four years can teach. None is never; with both, the shorter one counts.
        minimum_new_rows: From so many rows since the champion was fitted on it is retrained; None is never.
        follow_up_windows: For so many windows after a promotion that answered degraded performance it is retrained again whenever the rows from
            after the change have doubled: in the 1st, 2nd, 4th, ... window.
        training_window: ``since_change``: a challenger learns from the training window, and beyond it from all rows since performance last changed
            (since the champion's first row when it never did), as long as the champion's performance holds: rows of one and the same relation
            teach more the more there are. ``fixed``: from the training window only.
        hysteresis: In how many of the last windows performance, drift or feedback has to speak. A request, an event, an age or a number of rows
            needs no second window.
        back_off: Whether performance and drift wait 2 windows after the third challenger that they asked for was rejected, 4 after the fourth, and so
            on: what three challengers could not better, another one in the next window will not.
        cooldown_days: For so many days after a retraining there is no other; None is no such time.
        budget: Most retrainings in a period; None is any number.
        event: What happened elsewhere and asks for a retraining, in a few words, for a run that is started because of it; ``none`` in a schedule's policy,
            or every run retrains.
        vetoes: What stands against a retraining: ``insufficient_data`` (neither drift nor performance can be told), ``contract_warnings`` (the
            data passed with warnings), ``rollout_under_way`` (a version waits for approval or is being rolled out).
        retrain_on_estimate: Whether a score that is estimated without labels may retrain where there is no measured one and the inputs do
            not drift severely: far from what a model learned its confidences are not to be trusted.
        performance: How performance is watched.
        feedback: How feedback of users is weighed.
        training: How a challenger uses its rows.
        gate: What a challenger has to show beside the comparison by the first metric.
    """

    version: Literal[1] = 1
    triggers: tuple[TriggerName, ...] = get_args(TriggerName)
    retrain_on_drift_severity: Literal["slight", "moderate", "severe"] = "severe"
    maximum_model_age_days: Days | None = None
    maximum_model_age_spans: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = 3.0
    minimum_new_rows: Annotated[int, Field(ge=1)] | None = None
    follow_up_windows: Annotated[int, Field(ge=0)] = 4
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
        value: ``default``, YAML or JSON in line, or the path or ``gs://`` URI of a file.

    Raises:
        PolicyError: The file cannot be read, or a key, trigger or number in it cannot be used.
    """
    return read_settings(value, Policy, parameter="policy_config", error=PolicyError)
