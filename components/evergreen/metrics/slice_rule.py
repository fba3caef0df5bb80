"""The rule by which slices are named in a policy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from evergreen.settings.strict import StrictSettings


class SliceRule(StrictSettings):
    """Rows to look at on their own: every value of a column, or the rows that an expression holds for.

    Attributes:
        column: A category, truth value or number; numbers are cut at their quartiles.
        where: An expression as `pandas.DataFrame.query` takes it, such as ``temperature > 30 and city == 'Oslo'``.
        margin: By how much the challenger may be worse on a slice, in the metric's unit; the common margin when not given.
    """

    column: str = ""
    where: str = ""
    margin: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> SliceRule:
        if bool(self.column) == bool(self.where):
            raise ValueError("a slice needs either column or where")
        return self
