"""The policy: which triggers count, and from where on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evergreen.policy.errors import PolicyError
from evergreen.settings import read_settings

TriggerName = Literal["no_champion", "explicit_request", "performance", "input_drift", "model_age"]


class Policy(BaseModel):
    """When to retrain.

    Attributes:
        version: Version of this file's layout.
        triggers: The triggers that may cause a retraining; the others are still shown.
        retrain_on_drift_severity: Smallest severity of drift that retrains while performance cannot be told.
        maximum_model_age_days: Age of the champion's newest training row at which it is retrained; None is never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    triggers: tuple[TriggerName, ...] = ("no_champion", "explicit_request", "performance", "input_drift", "model_age")
    retrain_on_drift_severity: Literal["slight", "moderate", "severe"] = "severe"
    maximum_model_age_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


def read_policy(value: str) -> Policy:
    """Read the policy from the ``policy_config`` parameter.

    Args:
        value: ``default``, YAML or JSON in line, or the path or ``gs://`` URI of a file.

    Raises:
        PolicyError: The file cannot be read, or a key, trigger or number in it cannot be used.
    """
    return read_settings(value, Policy, parameter="policy_config", error=PolicyError)
