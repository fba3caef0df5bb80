"""Base class of all user-written sections: rejects unknown settings and non-finite numbers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictSettings(BaseModel):
    """Immutable settings that reject unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
