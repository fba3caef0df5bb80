"""The rule that defines slices in a policy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from evergreen.settings.strict import StrictSettings


class SliceRule(StrictSettings):
    """Rows to score separately: every value of a column, or the rows that match an expression.

    Attributes:
        column: A categorical, boolean or numeric column; numbers are binned by quartile.
        where: An expression for `pandas.DataFrame.query`, such as ``temperature > 30 and city == 'Oslo'``.
        margin: How much worse the challenger may be on a slice, in units of the metric. Defaults to the common margin.
    """

    column: str = ""
    where: str = ""
    margin: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> SliceRule:
        if bool(self.column) == bool(self.where):
            raise ValueError("a slice needs either column or where")
        return self
