"""The ``feedback`` section of the policy file: how much weight each source carries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from evergreen.settings.strict import StrictSettings

Share = Annotated[float, Field(gt=0, lt=1)]
Reliability = Annotated[float, Field(ge=0, le=1)]


class FeedbackSettings(StrictSettings):
    """How user feedback is weighted.

    Attributes:
        source_uri: Where decide_retraining reads feedback if no earlier step has read it; ``none`` reads none.
        timestamp_column: Column with the time at which the feedback was given.
        days: Length of the window in days; it ends where the monitored window ends.
        negative_share: Share of negative feedback above which the trigger fires; the 95 % lower bound must exceed it.
        minimum_weight: Minimum total weight of all feedback after capping; an item from a fully reliable source weighs 1.
        maximum_source_share: Largest share of the total weight that a single source may have.
        reliability: Reliability by source name, from 0 (does not count) to 1.
        default_reliability: Reliability of all other sources.
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
                f"maximum_source_share {self.maximum_source_share:g} must be below negative_share {self.negative_share:g}; otherwise one source could decide"
            )
        return self
