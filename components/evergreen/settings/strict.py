"""The base of every section that a person writes: unknown settings and numbers that are not finite are refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictSettings(BaseModel):
    """Settings that refuse names they do not know, and cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
