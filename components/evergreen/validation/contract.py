"""The data contract of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evergreen.settings.suggestions import did_you_mean
from evergreen.validation.errors import ContractError
from evergreen.validation.rules import ColumnRules, CrossColumnRule, RowVolume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

REVIEWED: Final = "reviewed"
UNREVIEWED: Final = "inferred, unreviewed"


class Contract(BaseModel):
    """A data contract: the rules that a dataset must meet.

    Attributes:
        version: Version of the file format.
        status: ``reviewed``, or ``inferred, unreviewed`` until a person has reviewed it.
        minimum_rows: Minimum number of rows.
        row_volume: Expected number of rows compared to earlier windows; not checked if not set.
        rules: Cross-column rules.
        columns: Rules by column. A column of the data that is not listed here is reported and dropped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    status: Literal["reviewed", "inferred, unreviewed"] = REVIEWED
    minimum_rows: int = Field(default=1, ge=1)
    row_volume: RowVolume | None = None
    rules: list[CrossColumnRule] | None = None
    columns: dict[str, ColumnRules] = Field(min_length=1)

    @classmethod
    def from_yaml(cls, text: str, *, origin: str = "contract") -> Contract:
        """Read a contract.

        Args:
            text: The contract as YAML.
            origin: Origin of the contract, for error messages.

        Raises:
            ContractError: The text is not YAML, or has unknown keys or invalid rules; the message lists all of them.
        """
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ContractError(f"{origin}: is not YAML: {error}. Correct the text.") from error
        if not isinstance(content, dict):
            raise ContractError(
                f"{origin}: is a {type(content).__name__}; expected a mapping with 'version' and 'columns'. See the README of the validation room."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problems = "; ".join(_describe(problem) for problem in error.errors())
            raise ContractError(f"{origin}: {problems}. Correct the contract.") from error

    def to_yaml(self, comments: Sequence[str] = ()) -> str:
        """Return the contract as YAML after comment lines, omitting rules that are not set."""
        content = self.model_dump(exclude_none=True)
        heading = "".join(f"# {line}\n" for line in comments)
        return heading + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _describe(problem: ErrorDetails) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {"columns": ColumnRules, "rules": CrossColumnRule, "row_volume": RowVolume}
        part = parts.get(str(problem["loc"][0]), Contract) if len(problem["loc"]) > 1 else Contract
        known = list(part.model_fields)
        return f"Unknown key {place!r}. Valid keys: {', '.join(known)}.{did_you_mean(str(problem['loc'][-1]), known)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place or 'contract'}: {message}" + (
        "" if isinstance(problem["input"], dict) or problem["type"] == "missing" else f" (found {problem['input']!r})"
    )
