"""The section ``feedback`` of the policy file: whose word weighs how much."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from evergreen.settings.strict import StrictSettings

Share = Annotated[float, Field(gt=0, lt=1)]
Reliability = Annotated[float, Field(ge=0, le=1)]


class FeedbackSettings(StrictSettings):
    """How feedback of users is weighed.

    Attributes:
        source_uri: Where decide_retraining reads feedback, when no step before it did; ``none`` for nowhere.
        timestamp_column: The time at which something was said.
        days: Length of the window, which ends where the watched window ends.
        negative_share: The share of bad feedback that surely has to be exceeded.
        minimum_weight: Least weight of all feedback, after the cap; a thing said by a reliable source weighs 1.
        maximum_source_share: Largest share of all weight that one source may have.
        reliability: From 0 (does not count) to 1, for each source by name.
        default_reliability: Of all other sources.
    """

    source_uri: str = "none"
    timestamp_column: str = "time"
    days: Annotated[int, Field(ge=1)] = 30
    negative_share: Share = 0.5
    minimum_weight: Annotated[float, Field(gt=0)] = 50.0
    maximum_source_share: Share = 0.25
    reliability: dict[str, Reliability] = Field(default_factory=dict)
    default_reliability: Reliability = 1.0

    @model_validator(mode="after")
    def _no_source_alone(self) -> FeedbackSettings:
        if self.maximum_source_share >= self.negative_share:
            raise ValueError(
                f"maximum_source_share {self.maximum_source_share:g} is not below negative_share {self.negative_share:g}: one source alone could decide"
            )
        return self
