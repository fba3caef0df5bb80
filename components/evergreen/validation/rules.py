"""The rules that a contract is made of."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evergreen.validation.errors import ContractError
from evergreen.validation.expressions import parse_expression

ColumnType = Literal["number", "integer", "string", "boolean", "timestamp"]
Severity = Literal["fail", "quarantine", "warn"]
RuleName = Literal["missing", "minimum", "maximum", "allowed_values", "pattern", "unique", "freshness"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Bound = int | Annotated[float, Field(allow_inf_nan=False)] | datetime

QUARANTINED_BY_DEFAULT: Final = 0.1


class ColumnRules(BaseModel):
    """What one column must look like.

    Attributes:
        type: ``number`` takes integers too, ``integer`` takes numbers that are all whole.
        required: Whether the column must be there.
        maximum_null_share: Largest share of missing values; not given, any share but 1 is fine (a required column without any value fails).
        minimum: Smallest value, included; for numbers, integers and timestamps (without a zone: UTC).
        maximum: Largest value, included.
        allowed_values: The only values; not for timestamps.
        pattern: Regular expression that the whole text must match.
        unique: Whether no value may come twice; of equal values all but the first break the rule.
        maximum_age_days: Largest age of the newest time, in days before the check.
        tolerated_share: Share of rows that may break a rule of single values, rounded up to whole rows. Not given: 0, or 0.1 where rows go to quarantine.
        severity: Whether a broken rule stops the run, is only reported, or puts the rows that break it aside (``quarantine``; it stops the
            run when they are more than the tolerated share). A wrong type or a missing column always stops it.
        severities: Severity by rule (``missing``, ``minimum``, ``maximum``, ``allowed_values``, ``pattern``, ``unique``, ``freshness``), where it is another.
        tolerated_shares: Tolerated share by rule, where it is another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: ColumnType
    required: bool = True
    maximum_null_share: Share | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    allowed_values: list[bool | int | float | str] | None = Field(default=None, min_length=1)
    pattern: str | None = None
    unique: bool | None = None
    maximum_age_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    tolerated_share: Share | None = None
    severity: Severity = "fail"
    severities: dict[RuleName, Severity] | None = None
    tolerated_shares: dict[RuleName, Share] | None = None

    def severity_of(self, rule: RuleName) -> Severity:
        """Return the severity of one rule; that of freshness, which no single row breaks, is never ``quarantine``."""
        severity = (self.severities or {}).get(rule, self.severity)
        return "fail" if severity == "quarantine" and rule == "freshness" else severity

    def tolerated(self, rule: RuleName) -> float:
        """Return the share of rows that may break one rule."""
        return tolerated_or_default((self.tolerated_shares or {}).get(rule, self.tolerated_share), self.severity_of(rule))

    @model_validator(mode="after")
    def _pattern_is_one(self) -> ColumnRules:
        if self.pattern is not None:
            if self.type != "string":
                raise ValueError(f"pattern does not go with type {self.type}")
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
        if self.maximum_age_days is not None and self.type != "timestamp":
            raise ValueError(f"maximum_age_days does not go with type {self.type}")
        return self

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


class CrossColumnRule(BaseModel):
    """A rule over several columns.

    Attributes:
        expression: What must hold in every row, see :mod:`evergreen.validation.expressions`. Where a value is missing it holds.
        severity: As for columns.
        tolerated_share: As for columns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    expression: str = Field(min_length=1)
    severity: Severity = "fail"
    tolerated_share: Share | None = None

    @field_validator("expression")
    @classmethod
    def _is_an_expression(cls, text: str) -> str:
        try:
            parse_expression(text)
        except ContractError as error:
            raise ValueError(str(error)) from error
        return text


class RowVolume(BaseModel):
    """How many rows are expected beside those of earlier windows.

    Attributes:
        minimum_ratio: Fewest rows, as a multiple of the median of earlier windows.
        maximum_ratio: Most rows, likewise.
        severity: ``fail`` or ``warn``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_ratio: Annotated[float, Field(ge=0, le=1)] = 0.5
    maximum_ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    severity: Literal["fail", "warn"] = "warn"


def tolerated_or_default(share: float | None, severity: Severity) -> float:
    """Return a tolerated share that may not be given: rows that go to quarantine are tolerated up to a tenth."""
    if share is not None:
        return share
    return QUARANTINED_BY_DEFAULT if severity == "quarantine" else 0.0


def as_utc(time: datetime) -> datetime:
    """Return a time in UTC; one without a zone is UTC already."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _comparable(bound: Any) -> Any:
    return as_utc(bound) if isinstance(bound, datetime) else bound
