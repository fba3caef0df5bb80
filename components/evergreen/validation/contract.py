"""What the columns of a dataset must look like."""

from __future__ import annotations

import difflib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evergreen.validation.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

ColumnType = Literal["number", "integer", "string", "boolean", "timestamp"]
Severity = Literal["fail", "warn"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Bound = int | Annotated[float, Field(allow_inf_nan=False)] | datetime

REVIEWED: Final = "reviewed"
UNREVIEWED: Final = "inferred, unreviewed"


class ColumnRules(BaseModel):
    """What one column must look like.

    Attributes:
        type: ``number`` takes integers too, ``integer`` takes numbers that are all whole.
        required: Whether the column must be there.
        maximum_null_share: Largest share of missing values; not given, any share but 1 is fine (a required column without any value fails).
        minimum: Smallest value, included; for numbers, integers and timestamps (without a zone: UTC).
        maximum: Largest value, included.
        allowed_values: The only values; not for timestamps.
        tolerated_share: Share of rows that may lie outside range or allowed values, rounded up to whole rows.
        severity: Whether a breach of null share, range or allowed values stops the run or is only reported. A wrong type
            or a missing column always stops it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: ColumnType
    required: bool = True
    maximum_null_share: Share | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    allowed_values: list[bool | int | float | str] | None = Field(default=None, min_length=1)
    tolerated_share: Share = 0.0
    severity: Severity = "fail"

    @model_validator(mode="after")
    def _rules_go_together(self) -> ColumnRules:
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type in ("string", "boolean"):
            raise ValueError(f"minimum and maximum do not go with type {self.type}")
        if any(isinstance(bound, datetime) != (self.type == "timestamp") for bound in bounds):
            raise ValueError(f"minimum and maximum of a {self.type} must be {'times' if self.type == 'timestamp' else 'numbers'}")
        if len(bounds) == 2 and _comparable(bounds[0]) > _comparable(bounds[1]):
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        expected = {"string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "timestamp": ()}[self.type]
        for value in self.allowed_values or []:
            if not isinstance(value, expected) or (isinstance(value, bool) and self.type != "boolean"):
                raise ValueError(f"allowed value {value!r} is no {self.type}; quote text in YAML")
        return self


class Contract(BaseModel):
    """What a dataset must look like.

    Attributes:
        version: Version of this format.
        status: ``reviewed``, or ``inferred, unreviewed`` until a person has read it.
        minimum_rows: Fewest rows.
        columns: Rules by column. A column of the data that is not named here is reported and left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    status: Literal["reviewed", "inferred, unreviewed"] = REVIEWED
    minimum_rows: int = Field(default=1, ge=1)
    columns: dict[str, ColumnRules] = Field(min_length=1)

    @classmethod
    def from_yaml(cls, text: str, *, origin: str = "contract") -> Contract:
        """Read a contract.

        Args:
            text: YAML.
            origin: Where it comes from, for messages.

        Raises:
            ContractError: It is not YAML, or holds unknown keys or impossible rules; the message names each.
        """
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ContractError(f"{origin}: is not YAML: {error}. Correct the text.") from error
        if not isinstance(content, dict):
            raise ContractError(
                f"{origin}: holds {type(content).__name__}; expected a mapping with 'version' and 'columns'. See the README of the validation room."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problems = "; ".join(_describe(problem) for problem in error.errors())
            raise ContractError(f"{origin}: {problems}. Correct the contract.") from error

    def to_yaml(self, comments: Sequence[str] = ()) -> str:
        """Return the contract as YAML, without rules that are not set, below comment lines."""
        content = self.model_dump(exclude_none=True)
        heading = "".join(f"# {line}\n" for line in comments)
        return heading + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def as_utc(time: datetime) -> datetime:
    """Return a time in UTC; one without a zone is UTC already."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _comparable(bound: Any) -> Any:
    return as_utc(bound) if isinstance(bound, datetime) else bound


def _describe(problem: ErrorDetails) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = list(ColumnRules.model_fields if len(problem["loc"]) > 1 else Contract.model_fields)
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"unknown key {place!r}; known keys are {', '.join(known)}" + (f". Did you mean {close[0]!r}?" if close else "")
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place or 'contract'}: {message}" + (
        "" if isinstance(problem["input"], dict) or problem["type"] == "missing" else f" (found {problem['input']!r})"
    )
