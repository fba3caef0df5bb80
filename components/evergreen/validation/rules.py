"""The rules of a contract."""

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
    """Rules of one column.

    Attributes:
        type: ``number`` also accepts integers; ``integer`` also accepts numbers without fractional parts.
        required: Whether the column must exist.
        maximum_null_share: Maximum share of missing values. By default any share below 1 is accepted (a required column without any value fails).
        minimum: Inclusive minimum of numbers, integers and timestamps (UTC if they have no time zone).
        maximum: Inclusive maximum.
        allowed_values: The only allowed values; not for timestamps.
        pattern: Regular expression that the whole text must match.
        unique: Whether values must be unique; of equal values, all but the first violate the rule.
        maximum_age_days: Maximum age of the newest time in days before the check.
        tolerated_share: Share of rows that may violate a rule of individual values, rounded up to whole rows. Defaults to 0, or 0.1 for quarantined rows.
        severity: Whether a violated rule stops the run (``fail``), is only reported (``warn``), or quarantines the violating rows (``quarantine``,
            which stops the run if they exceed the tolerated share). A wrong type or a missing column always stops the run.
        severities: Severity by rule (``missing``, ``minimum``, ``maximum``, ``allowed_values``, ``pattern``, ``unique``, ``freshness``), overriding severity.
        tolerated_shares: Tolerated share by rule, overriding tolerated_share.
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
        """Return the severity of one rule; freshness, which no individual row violates, is never ``quarantine``."""
        severity = (self.severities or {}).get(rule, self.severity)
        return "fail" if severity == "quarantine" and rule == "freshness" else severity

    def tolerated(self, rule: RuleName) -> float:
        """Return the share of rows that may violate one rule."""
        return tolerated_or_default((self.tolerated_shares or {}).get(rule, self.tolerated_share), self.severity_of(rule))

    @model_validator(mode="after")
    def _pattern_is_one(self) -> ColumnRules:
        if self.pattern is not None:
            if self.type != "string":
                raise ValueError(f"pattern is not valid for type {self.type}")
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is not a regular expression: {error}") from error
        if self.maximum_age_days is not None and self.type != "timestamp":
            raise ValueError(f"maximum_age_days is not valid for type {self.type}")
        return self

    @model_validator(mode="after")
    def _rules_go_together(self) -> ColumnRules:
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type in ("string", "boolean"):
            raise ValueError(f"minimum and maximum are not valid for type {self.type}")
        if any(isinstance(bound, datetime) != (self.type == "timestamp") for bound in bounds):
            raise ValueError(f"minimum and maximum of a {self.type} must be {'times' if self.type == 'timestamp' else 'numbers'}")
        if len(bounds) == 2 and _comparable(bounds[0]) > _comparable(bounds[1]):
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        expected = {"string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "timestamp": ()}[self.type]
        for value in self.allowed_values or []:
            if not isinstance(value, expected) or (isinstance(value, bool) and self.type != "boolean"):
                raise ValueError(f"allowed value {value!r} is not of type {self.type}; quote text in YAML")
        return self


class CrossColumnRule(BaseModel):
    """A cross-column rule.

    Attributes:
        expression: Condition for every row; see :mod:`evergreen.validation.expressions`. It holds where a value is missing.
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
    """The expected number of rows compared to earlier windows.

    Attributes:
        minimum_ratio: Minimum number of rows as a multiple of the median of earlier windows.
        maximum_ratio: Maximum number of rows, likewise.
        severity: ``fail`` or ``warn``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_ratio: Annotated[float, Field(ge=0, le=1)] = 0.5
    maximum_ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    severity: Literal["fail", "warn"] = "warn"


def tolerated_or_default(share: float | None, severity: Severity) -> float:
    """Return the tolerated share or its default: a tenth for quarantined rows, otherwise 0."""
    if share is not None:
        return share
    return QUARANTINED_BY_DEFAULT if severity == "quarantine" else 0.0


def as_utc(time: datetime) -> datetime:
    """Return a time in UTC; times without a time zone are taken as UTC."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _comparable(bound: Any) -> Any:
    return as_utc(bound) if isinstance(bound, datetime) else bound
